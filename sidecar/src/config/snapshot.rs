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
    /// Changes with every byte of every file, and with what couldn't be read.
    pub digest: [u8; 32],
    /// At least one, sorted by name; or why there is none.
    pub(super) folders: Result<Vec<Folder>, Problem>,
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
        let folders = match folder_names(&root) {
            Ok(names) if names.is_empty() => Err(Problem::Empty { dir: dir.to_owned() }),
            Ok(names) => Ok(names.into_iter().map(|name| Folder::read(&root, name)).collect()),
            Err(source) => Err(Problem::UnreadableDir { dir: dir.to_owned(), source }),
        };
        Self { digest: digest(&folders), link, folders }
    }
}

// === impl Folder ===

impl Folder {
    fn read(root: &Path, name: String) -> Self {
        let mut problems = Vec::new();
        let mut read = |file: &'static str| {
            fs::read(root.join(&name).join(file)).unwrap_or_else(|source| {
                problems.push(Problem::UnreadableFile { folder: name.clone(), file, source });
                Vec::new()
            })
        };
        let files =
            Files { config: read(CONFIG_FILE), certificate: read(TLS_CERT_FILE), key: read(TLS_KEY_FILE) };
        Self { files: if problems.is_empty() { Ok(files) } else { Err(problems) }, name }
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
