//! The files of an image: what is put in, and the shared libraries that it needs.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    super::{command, paths::text},
    append,
};

/// Debian's bundle of trusted certificates, from its package ca-certificates.
pub const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// The files of an image, by path without a leading slash.
#[derive(Debug, Clone)]
pub struct Layout {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Clone)]
struct File {
    content: Vec<u8>,
    mode: u32,
}

impl File {
    /// Whether it needs a loader, be it a library itself.
    fn is_program(&self) -> bool {
        self.content.starts_with(b"\x7fELF")
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout {
    /// An image that knows its user, and has an empty /tmp.
    pub fn new() -> Self {
        Self { files: BTreeMap::new() }.with_file("etc/passwd", PASSWD, 0o644).with_file(
            "etc/group",
            GROUP,
            0o644,
        )
    }

    fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.insert(path.to_owned(), File { content: content.into(), mode });
        self
    }

    fn with_file_of_machine(self, path: &str, source: &Path, mode: u32) -> Result<Self> {
        let content = fs::read(source).with_context(|| format!("{} can't be read", source.display()))?;
        Ok(self.with_file(path.trim_start_matches('/'), content, mode))
    }

    /// Adds the machine's bundle of CA certificates.
    pub fn with_ca_certificates(self) -> Result<Self> {
        self.with_file_of_machine(CA_CERTIFICATES, Path::new(CA_CERTIFICATES), 0o644)
    }

    /// Adds `binary` as `/<name>`, and the shared libraries it needs where its loader looks for them.
    pub async fn with_binary(self, name: &str, binary: &Path) -> Result<Self> {
        let mut layout = self.with_file_of_machine(name, binary, 0o755)?;
        layout.add_libraries_of(binary).await?;
        Ok(layout)
    }

    /// Adds a program of the machine where it is there, followed where it is a link, and the shared libraries it needs.
    pub async fn with_program(self, path: &Path) -> Result<Self> {
        self.with_binary(text(path)?.trim_start_matches('/'), path).await
    }

    /// Adds a folder of the machine where it is there, links followed, and the shared libraries that its programs need.
    pub async fn with_folder(self, path: &Path) -> Result<Self> {
        let mut layout = self;
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("{} can't be read", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                let metadata = fs::metadata(&path)?;
                if metadata.is_dir() {
                    folders.push(path);
                    continue;
                }
                layout = layout.with_file_of_machine(text(&path)?, &path, metadata.mode() & 0o755)?;
                if layout.files.get(text(&path)?.trim_start_matches('/')).is_some_and(File::is_program) {
                    layout.add_libraries_of(&path).await?;
                }
            }
        }
        Ok(layout)
    }

    async fn add_libraries_of(&mut self, binary: &Path) -> Result<()> {
        for library in shared_libraries(binary).await? {
            let path = text(&library)?;
            if !self.files.contains_key(path.trim_start_matches('/')) {
                *self = std::mem::take(self).with_file_of_machine(path, &library, 0o755)?;
            }
        }
        Ok(())
    }

    /// One uncompressed layer: every folder before what is in it.
    pub(super) fn layer(&self) -> Result<Vec<u8>> {
        let mut folders = BTreeMap::from([("tmp/".to_owned(), 0o1777)]);
        for path in self.files.keys() {
            for parent in Path::new(path).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty())
            {
                folders.insert(format!("{}/", text(parent)?), 0o755);
            }
        }
        let mut archive = tar::Builder::new(Vec::new());
        for (path, mode) in &folders {
            append(&mut archive, path, &[], *mode, tar::EntryType::Directory)?;
        }
        for (path, file) in &self.files {
            append(&mut archive, path, &file.content, file.mode, tar::EntryType::Regular)?;
        }
        Ok(archive.into_inner()?)
    }
}

/// What the loader says `binary` needs, with the loader itself; nothing for a static binary.
async fn shared_libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    match command::run("ldd", &[text(binary)?]).await {
        Ok(listing) => parse_ldd(&listing),
        Err(error) if format!("{error:#}").contains("not a dynamic executable") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Lines are `name => /path (address)`, `/path (address)` for the loader, `name (address)` for the kernel's own.
pub(super) fn parse_ldd(listing: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in listing.lines() {
        anyhow::ensure!(!line.contains("not found"), "a shared library is missing: {}", line.trim());
        libraries.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from));
    }
    Ok(libraries)
}
