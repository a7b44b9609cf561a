//! Reading the configuration file and the certificates that it names.

use std::{fs, path::Path, sync::Arc};

use telegram_webhook_sidecar_config::{FileContent, FileWebhook, TlsFiles, parse_file};

use super::{Files, Part, Snapshot, digest};
use crate::config::{
    Place, Problem,
    place::CertificatePart::{self, Chain, Key},
    problem::Findings,
};

impl Snapshot {
    /// Reads a file. It has no version of its own: what changes while this reads is seen at the next look.
    pub fn read_file(path: &Path) -> Self {
        let parts = parts(path);
        Self { link: None, digest: digest(&parts), parts, absent: Vec::new(), whole: true }
    }
}

fn parts(path: &Path) -> Result<Vec<Part>, Problem> {
    let bytes = fs::read(path).map_err(|source| Problem::Unreadable { path: path.to_owned(), source })?;
    let webhooks =
        parse_file(&bytes).map_err(|source| Problem::MalformedFile { file: path.to_owned(), source })?;
    if webhooks.is_empty() {
        return Err(Problem::NoWebhook { file: path.to_owned() });
    }
    let file: Arc<Path> = path.into();
    let parts = webhooks.into_iter().enumerate().map(|(index, webhook)| {
        let place = Place::File { file: Arc::clone(&file), index };
        Part { files: files(&place, path, webhook), place }
    });
    Ok(parts.collect())
}

/// The webhook and its certificate, or what is missing.
fn files(place: &Place, path: &Path, webhook: FileWebhook<'_>) -> Result<Files, Vec<Problem>> {
    let FileWebhook { bytes, content } = webhook;
    let mut findings = Findings::new(place);
    let FileContent { config, tls } = match content {
        Ok(content) => content,
        Err(source) => {
            findings.malformed(source);
            return Err(findings.into_problems());
        }
    };
    let TlsFiles { certificate_file, key_file } = tls;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let mut read = |part: CertificatePart, file: &str| {
        let path = folder.join(file);
        fs::read(&path).unwrap_or_else(|error| {
            findings.certificate(part, format!("{} can't be read: {error}", path.display()));
            Vec::new()
        })
    };
    let files = Files {
        config: bytes.to_vec(),
        parsed: Ok(config),
        certificate: read(Chain, &certificate_file),
        key: read(Key, &key_file),
    };
    let problems = findings.into_problems();
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
