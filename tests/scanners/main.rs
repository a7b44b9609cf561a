//! The sidecar's TLS as the world's scanners see it: the real binary, a certificate as a public authority would issue it.

mod sslyze;
mod testssl;

use std::{fs, path::PathBuf};

use telegram_webhook_tests::{
    pki::Authority,
    sidecar::{ConfigFolder, HOST, NAME, Sidecar, config},
};
use tempfile::TempDir;

/// A sidecar to look at, and a folder for what a scanner needs and says.
struct Target {
    sidecar: Sidecar,
    dir: TempDir,
    _config: ConfigFolder,
}

impl Target {
    async fn start() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut folder = ConfigFolder::new()?;
        folder.set(NAME, &config(NAME, HOST, 3000), &authority.issue(HOST)?);
        folder.publish()?;
        let target =
            Self { sidecar: Sidecar::start(&folder).await?, dir: tempfile::tempdir()?, _config: folder };
        fs::write(target.authority(), authority.pem())?;
        Ok(target)
    }

    /// The authority to trust, PEM.
    fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    /// Where the scanner writes what it found.
    fn report(&self) -> PathBuf {
        self.dir.path().join("report.json")
    }
}

fn say(what: &str) {
    eprintln!("{what}");
}
