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

/// Every file as it was at one moment, and what couldn't be read.
pub struct Snapshot {
    /// Where `..data` pointed; none in a plain folder.
    pub link: Option<PathBuf>,
    /// Changes with every byte of every file, and with what couldn't be read.
    pub digest: [u8; 32],
    pub(super) folders: Vec<Folder>,
    pub(super) problems: Vec<Problem>,
}

/// The files of one webhook.
pub(super) struct Folder {
    pub(super) name: String,
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
        let mut folders = Vec::new();
        let mut problems = Vec::new();
        match folder_names(&root) {
            Ok(names) if names.is_empty() => problems.push(Problem::Empty { dir: dir.to_owned() }),
            Ok(names) => {
                for name in names {
                    match Folder::read(&root, name) {
                        Ok(folder) => folders.push(folder),
                        Err(found) => problems.extend(found),
                    }
                }
            }
            Err(source) => problems.push(Problem::Unreadable { path: dir.to_owned(), source }),
        }
        Self { digest: digest(&folders, &problems), link, folders, problems }
    }
}

// === impl Folder ===

impl Folder {
    fn read(root: &Path, name: String) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut read = |file: &str| {
            fs::read(root.join(&name).join(file)).unwrap_or_else(|source| {
                let path = Path::new(&name).join(file);
                problems.push(Problem::Unreadable { path, source });
                Vec::new()
            })
        };
        let (config, certificate, key) = (read(CONFIG_FILE), read(TLS_CERT_FILE), read(TLS_KEY_FILE));
        if problems.is_empty() { Ok(Self { name, config, certificate, key }) } else { Err(problems) }
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

fn digest(folders: &[Folder], problems: &[Problem]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        // the length keeps two parts from looking like one
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    for folder in folders {
        add(folder.name.as_bytes());
        add(&folder.config);
        add(&folder.certificate);
        add(&folder.key);
    }
    for problem in problems {
        add(problem.to_string().as_bytes());
    }
    hash.finalize().into()
}
