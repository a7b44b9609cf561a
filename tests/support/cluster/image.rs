//! Builds OCI images without a container engine: binaries, the shared libraries they need, CA certificates, a user.
//!
//! The same input gives the same bytes: entries are sorted, times are zero. Layout: the OCI image layout specification, in a
//! tar archive, which containerd imports.

mod layout;

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use self::layout::{CA_CERTIFICATES, Layout};

/// User and group of every image.
const USER: u32 = 65532;

/// An image in an archive, ready to be imported.
#[derive(Clone)]
pub struct Image {
    name: String,
    archive: Vec<u8>,
    digest: String,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Image({} {}, {} bytes)", self.name, self.digest, self.archive.len())
    }
}

impl Image {
    /// An image called `name`, such as `localhost/sample-crm:test`, that runs `entrypoint` as a user without rights.
    pub fn new(name: &str, layout: Layout, entrypoint: &[&str]) -> Result<Self> {
        let layer = Blob::new(layout.layer()?);
        drop(layout); // a binary may be large
        let config = Blob::of_json(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"User": format!("{USER}:{USER}"), "Entrypoint": entrypoint, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        }));
        let manifest = Blob::of_json(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("config.v1+json"),
            "layers": [layer.descriptor("layer.v1.tar")],
        }));
        let mut described = manifest.descriptor("manifest.v1+json");
        described["annotations"] = json!({"io.containerd.image.name": name});
        let index = Blob::of_json(&json!({"schemaVersion": 2, "manifests": [described]}));

        let size = layer.content.len() + config.content.len() + manifest.content.len() + 16 * 1024;
        let mut archive = tar::Builder::new(Vec::with_capacity(size));
        append(
            &mut archive,
            "oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
            0o644,
            tar::EntryType::Regular,
        )?;
        append(&mut archive, "index.json", &index.content, 0o644, tar::EntryType::Regular)?;
        let mut blobs = [&layer, &config, &manifest];
        blobs.sort_by_key(|blob| &blob.digest);
        for blob in blobs {
            let path = format!("blobs/{}", blob.digest.replace(':', "/"));
            append(&mut archive, &path, &blob.content, 0o644, tar::EntryType::Regular)?;
        }
        Ok(Self { name: name.to_owned(), archive: archive.into_inner()?, digest: manifest.digest })
    }

    /// Its name with its tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Writes the archive.
    pub fn write_to(&self, path: &Path) -> Result<()> {
        let mut file = fs::File::create(path)?;
        file.write_all(&self.archive).with_context(|| format!("{} can't be written", path.display()))
    }
}

/// A part of an image, addressed by its digest.
struct Blob {
    content: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(content: Vec<u8>) -> Self {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
        Self { content, digest }
    }

    fn of_json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": self.digest,
            "size": self.content.len(),
        })
    }
}

/// The architecture's name in Go, which the specification asks for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
    kind: tar::EntryType,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(u64::try_from(content.len())?);
    archive.append_data(&mut header, path, content)?;
    Ok(())
}

#[cfg(test)]
mod tests;
