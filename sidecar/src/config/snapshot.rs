//! One consistent reading of the configuration, of either source.
//!
//! The kubelet writes a new version of a mounted volume into a folder of its own and then swaps the `..data` link to it. All
//! files are therefore read from the folder that the link names, and read again when the link has moved meanwhile.

mod file;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use telegram_webhook_sidecar_config::{CONFIG_FILE, ParseError, TLS_CERT_FILE, TLS_KEY_FILE, WebhookConfig};

use super::{Place, Problem};

/// The kubelet's link to the current version.
const DATA_LINK: &str = "..data";
/// The kubelet swaps at most once in many seconds: more moved links than this in a row is not the kubelet.
const ATTEMPTS: usize = 5;

/// Where the configuration is.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder with one folder per webhook.
    Folder(PathBuf),
    /// One file for all of them.
    File(PathBuf),
}

/// Everything that was read, as it was at one moment.
pub struct Snapshot {
    /// Where `..data` pointed; none in a plain folder, and none for a file.
    pub link: Option<PathBuf>,
    /// Changes with every byte of every file that counts, and with what couldn't be read.
    pub digest: [u8; 32],
    /// In the order of the names or of the file; or why there is none at all.
    pub(super) parts: Result<Vec<Part>, Problem>,
    /// Names of the folders without a configuration, sorted. The operator's Secret isn't there: not yet, or no longer, while the
    /// user's Secret with the certificate may well be.
    pub(super) absent: Vec<String>,
    /// Whether nothing of it may be used if anything of it can't.
    pub(super) whole: bool,
}

/// What one webhook is read from.
pub(super) struct Part {
    pub(super) place: Place,
    /// The bytes that name the version.
    pub(super) config: Vec<u8>,
    /// What they say, or why they can't be read.
    pub(super) parsed: Result<WebhookConfig, Problem>,
    /// None where a configuration that can't be read would say where it is.
    pub(super) certificate: Option<CertificateFiles>,
}

/// A chain and its key, or why either can't be read.
pub(super) struct CertificateFiles {
    pub(super) chain: Result<Vec<u8>, Problem>,
    pub(super) key: Result<Vec<u8>, Problem>,
}

// === impl Source ===

impl Source {
    /// A cheap sign of change: where the link points to now, if there is one.
    pub fn link(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(dir) => Snapshot::link(dir),
            Self::File(_) => None,
        }
    }

    /// Reads everything.
    pub fn read(&self) -> Snapshot {
        match self {
            Self::Folder(dir) => Snapshot::read(dir),
            Self::File(path) => Snapshot::read_file(path),
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Where the link points to now; none in a plain folder.
    fn link(dir: &Path) -> Option<PathBuf> {
        fs::read_link(dir.join(DATA_LINK)).ok()
    }

    /// What a folder of this name would hold, without the folder.
    pub fn of_webhook(name: &str, config: &[u8], certificate: &[u8], key: &[u8]) -> Self {
        let place = Place::Folder(name.to_owned());
        let certificate = CertificateFiles { chain: Ok(certificate.to_vec()), key: Ok(key.to_vec()) };
        let parsed = parse(&place, config);
        let parts = Ok(vec![Part { place, config: config.to_vec(), parsed, certificate: Some(certificate) }]);
        Self { digest: digest(&parts), link: None, parts, absent: Vec::new(), whole: false }
    }

    /// Reads a folder.
    pub fn read(dir: &Path) -> Self {
        let mut snapshot = Self::read_once(dir);
        for _ in 1..ATTEMPTS {
            if Self::link(dir) == snapshot.link {
                break;
            }
            snapshot = Self::read_once(dir);
        }
        snapshot
    }

    fn read_once(dir: &Path) -> Self {
        let link = Self::link(dir);
        let root = link.as_ref().map_or_else(|| dir.to_owned(), |link| dir.join(link));
        let mut absent = Vec::new();
        let parts = match folder_names(&root) {
            Ok(names) if names.is_empty() => Err(Problem::Empty { dir: dir.to_owned() }),
            Ok(names) => Ok(names
                .into_iter()
                .filter_map(|name| Part::read(&root, name).map_err(|name| absent.push(name)).ok())
                .collect()),
            Err(source) => Err(Problem::Unreadable { path: dir.to_owned(), source }),
        };
        Self { digest: digest(&parts), link, parts, absent, whole: false }
    }
}

// === impl Part ===

impl Part {
    /// The folder, or its name where it holds no configuration.
    fn read(root: &Path, name: String) -> Result<Self, String> {
        let dir = root.join(&name);
        let config = fs::read(dir.join(CONFIG_FILE));
        if config.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(name);
        }
        let unreadable =
            |file: &'static str, source| Problem::UnreadableFile { folder: name.clone(), file, source };
        let content =
            |file: &'static str| fs::read(dir.join(file)).map_err(|source| unreadable(file, source));
        let certificate = CertificateFiles { chain: content(TLS_CERT_FILE), key: content(TLS_KEY_FILE) };
        let (config, parsed) = match config {
            Ok(config) => {
                let parsed = parse(&Place::Folder(name.clone()), &config);
                (config, parsed)
            }
            Err(source) => (Vec::new(), Err(unreadable(CONFIG_FILE, source))),
        };
        Ok(Self { place: Place::Folder(name), config, parsed, certificate: Some(certificate) })
    }
}

fn parse(place: &Place, config: &[u8]) -> Result<WebhookConfig, Problem> {
    WebhookConfig::parse(config).map_err(|ParseError { field, reason }| Problem::field(place, field, reason))
}

/// Names of the folders in `root`, sorted. Names with a dot in front are the kubelet's own.
fn folder_names(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // follows links: in a plain folder the entries may be links
        if !name.starts_with('.') && fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn digest(parts: &Result<Vec<Part>, Problem>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        // the length keeps two parts from looking like one
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    match parts {
        Err(problem) => add(problem.to_string().as_bytes()),
        Ok(parts) => {
            for Part { place, config, parsed, certificate } in parts {
                add(place.to_string().as_bytes());
                add(config);
                if let Err(problem) = parsed {
                    add(problem.to_string().as_bytes());
                }
                for file in certificate.iter().flat_map(|files| [&files.chain, &files.key]) {
                    match file {
                        Ok(content) => add(content),
                        Err(problem) => add(problem.to_string().as_bytes()),
                    }
                }
            }
        }
    }
    hash.finalize().into()
}
