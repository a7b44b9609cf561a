//! Where a webhook is written down, to say so when something is wrong with it.

use std::{fmt, path::Path, sync::Arc};

use telegram_webhook_sidecar_config::{CONFIG_FILE, TLS_CERT_FILE, TLS_KEY_FILE};

/// Where a webhook is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the folder of this name, with its certificate beside it.
    Folder(String),
    /// In the configuration file, which names its certificate's files.
    File { file: Arc<Path>, index: usize },
}

/// What a webhook consists of besides its fields.
#[derive(Clone, Copy, Debug)]
pub enum CertificatePart {
    Chain,
    Key,
}

// === impl Place ===

impl Place {
    /// The folder's name; a place in a file has none and belongs to nobody for longer than one version of the file.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Folder(name) => Some(name),
            Self::File { .. } => None,
        }
    }

    /// How a field of the webhook is found.
    pub(super) fn of_field(&self, field: &str) -> String {
        match self {
            // the whole webhook
            Self::Folder(name) if field == "." => format!("{name}/{CONFIG_FILE}"),
            Self::Folder(name) => format!("{name}/{CONFIG_FILE}: {field}"),
            Self::File { file, .. } if field == "." => format!("{}: {self}", file.display()),
            Self::File { file, .. } => format!("{}: {self}.{field}", file.display()),
        }
    }

    /// How a part of the certificate is found.
    pub(super) fn of_certificate(&self, part: CertificatePart) -> String {
        match (self, part) {
            (Self::Folder(name), CertificatePart::Chain) => format!("{name}/{TLS_CERT_FILE}"),
            (Self::Folder(name), CertificatePart::Key) => format!("{name}/{TLS_KEY_FILE}"),
            (Self::File { .. }, CertificatePart::Chain) => self.of_field("tls.certificateFile"),
            (Self::File { .. }, CertificatePart::Key) => self.of_field("tls.keyFile"),
        }
    }
}

/// For a message about another place of the same source.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(name) => write!(f, "the folder {name}"),
            Self::File { index, .. } => write!(f, "webhooks[{index}]"),
        }
    }
}
