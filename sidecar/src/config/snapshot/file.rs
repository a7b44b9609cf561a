//! Reading the configuration file and the certificates that it names.

use std::{fs, path::Path, sync::Arc};

use telegram_webhook_sidecar_config::{FileContent, FileWebhook, ParseError, TlsFiles, parse_file};

use super::{CertificateFiles, Part, Snapshot, digest};
use crate::config::{
    Place, Problem,
    place::CertificatePart::{self, Chain, Key},
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
    let parts = webhooks
        .into_iter()
        .enumerate()
        .map(|(index, webhook)| part(Place::File { file: Arc::clone(&file), index }, path, webhook));
    Ok(parts.collect())
}

/// The webhook and its certificate.
fn part(place: Place, path: &Path, webhook: FileWebhook<'_>) -> Part {
    let FileWebhook { bytes, content } = webhook;
    let config = bytes.to_vec();
    let FileContent { config: parsed, tls: TlsFiles { certificate_file, key_file } } = match content {
        Ok(content) => content,
        Err(ParseError { field, reason }) => {
            let parsed = Err(Problem::field(&place, field, reason));
            return Part { place, config, parsed, certificate: None };
        }
    };
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let read = |part: CertificatePart, file: &str| {
        let path = folder.join(file);
        fs::read(&path).map_err(|error| {
            let reason = format!("{} can't be read: {error}", path.display());
            Problem::Certificate { place: place.clone(), part, reason }
        })
    };
    let certificate = CertificateFiles { chain: read(Chain, &certificate_file), key: read(Key, &key_file) };
    Part { config, parsed: Ok(parsed), certificate: Some(certificate), place }
}

#[cfg(test)]
mod tests;
