//! One consistent reading of the configuration folder.
//!
//! The kubelet writes a new version of a mounted volume into a folder of its own and then swaps the `..data` link to it. All
//! files are therefore read from the folder that the link names, and read again when the link has moved meanwhile.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use telegram_webhook_sidecar_config::{CONFIG_FILE, TLS_CERT_FILE, TLS_KEY_FILE};

use super::Problem;

/// The kubelet's link to the current version.
const DATA_LINK: &str = "..data";
/// The kubelet swaps at most once in many seconds: more moved links than this in a row is not the kubelet.
const ATTEMPTS: usize = 5;

/// Every file as it was at one moment.
pub struct Snapshot {
    /// Where `..data` pointed; none in a plain folder.
    pub link: Option<PathBuf>,
    /// Changes with every byte of every file that counts, and with what couldn't be read.
    pub digest: [u8; 32],
    /// Sorted by name; or why there is none at all.
    pub(super) folders: Result<Vec<Folder>, Problem>,
    /// Names of the folders without a configuration, sorted. The operator's Secret isn't there: not yet, or no longer, while the
    /// user's Secret with the certificate may well be.
    pub(super) absent: Vec<String>,
}

/// The folder of one webhook.
pub(super) struct Folder {
    pub(super) name: String,
    /// Or what is missing.
    pub(super) files: Result<Files, Vec<Problem>>,
}

/// The files of one webhook.
pub(super) struct Files {
    pub(super) config: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Where the link points to now; none in a plain folder, which has no cheap sign of change.
    pub fn link(dir: &Path) -> Option<PathBuf> {
        fs::read_link(dir.join(DATA_LINK)).ok()
    }

    /// Reads everything.
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
        let folders = match folder_names(&root) {
            Ok(names) if names.is_empty() => Err(Problem::Empty { dir: dir.to_owned() }),
            Ok(names) => Ok(names
                .into_iter()
                .filter_map(|name| Folder::read(&root, name).map_err(|name| absent.push(name)).ok())
                .collect()),
            Err(source) => Err(Problem::UnreadableDir { dir: dir.to_owned(), source }),
        };
        Self { digest: digest(&folders), link, folders, absent }
    }
}

// === impl Folder ===

impl Folder {
    /// The folder, or its name where it holds no configuration.
    fn read(root: &Path, name: String) -> Result<Self, String> {
        let dir = root.join(&name);
        let config = fs::read(dir.join(CONFIG_FILE));
        if config.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(name);
        }
        let mut problems = Vec::new();
        let mut content = |file: &'static str, read: io::Result<Vec<u8>>| {
            read.unwrap_or_else(|source| {
                problems.push(Problem::UnreadableFile { folder: name.clone(), file, source });
                Vec::new()
            })
        };
        let files = Files {
            config: content(CONFIG_FILE, config),
            certificate: content(TLS_CERT_FILE, fs::read(dir.join(TLS_CERT_FILE))),
            key: content(TLS_KEY_FILE, fs::read(dir.join(TLS_KEY_FILE))),
        };
        Ok(Self { files: if problems.is_empty() { Ok(files) } else { Err(problems) }, name })
    }
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

fn digest(folders: &Result<Vec<Folder>, Problem>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        // the length keeps two parts from looking like one
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    match folders {
        Err(problem) => add(problem.to_string().as_bytes()),
        Ok(folders) => {
            for folder in folders {
                add(folder.name.as_bytes());
                match &folder.files {
                    Ok(files) => {
                        add(&files.config);
                        add(&files.certificate);
                        add(&files.key);
                    }
                    Err(problems) => problems.iter().for_each(|problem| add(problem.to_string().as_bytes())),
                }
            }
        }
    }
    hash.finalize().into()
}
