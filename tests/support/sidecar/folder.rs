//! A configuration folder laid out and updated as the kubelet does it: each version in a folder of its own, `..data` linked to
//! the newest, and links in front.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use telegram_webhook_sidecar_config::{CONFIG_FILE, TLS_CERT_FILE, TLS_KEY_FILE, WebhookConfig};
use tempfile::TempDir;

use crate::pki::Leaf;

const DATA_LINK: &str = "..data";

/// A mounted volume. Changes show when they are published, all at once.
pub struct ConfigFolder {
    dir: TempDir,
    files: BTreeMap<PathBuf, Vec<u8>>,
    version: u32,
}

// === impl ConfigFolder ===

impl ConfigFolder {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { dir: tempfile::tempdir()?, files: BTreeMap::new(), version: 0 })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets all files of a webhook.
    pub fn set(&mut self, name: &str, config: &WebhookConfig, certificate: &Leaf) {
        self.set_file(name, CONFIG_FILE, config.to_bytes());
        self.set_file(name, TLS_CERT_FILE, &*certificate.chain);
        self.set_file(name, TLS_KEY_FILE, &*certificate.key);
    }

    pub fn set_file(&mut self, name: &str, file: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(Path::new(name).join(file), content.into());
    }

    /// Makes the files the newest version.
    pub fn publish(&mut self) -> anyhow::Result<()> {
        self.version += 1;
        let version = format!("..version-{}", self.version);
        for (path, content) in &self.files {
            let path = self.path().join(&version).join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)?;
        }
        let before = fs::read_link(self.path().join(DATA_LINK)).ok();
        let link = self.path().join("..data_tmp");
        symlink(&version, &link)?;
        fs::rename(link, self.path().join(DATA_LINK))?;
        for name in self.files.keys().filter_map(|path| path.iter().next()) {
            let link = self.path().join(name);
            if !link.is_symlink() {
                symlink(Path::new(DATA_LINK).join(name), link)?;
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.path().join(before))?;
        }
        Ok(())
    }
}
