//! What can be wrong with the configuration folder. Names files and fields, never a value.

use std::{fmt, io, path::PathBuf};

use telegram_webhook_sidecar_config::{CONFIG_FILE, ParseError};

/// One mistake.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}: can't be read: {source}", dir.display())]
    UnreadableDir { dir: PathBuf, source: io::Error },
    #[error("{}: holds no folder of a TelegramWebhook", dir.display())]
    Empty { dir: PathBuf },
    #[error(
        "none of the Secrets of the pod's TelegramWebhooks exists yet: see the Ready condition of each TelegramWebhook"
    )]
    NothingYet,
    #[error("{folder}/{CONFIG_FILE}: does not exist")]
    NoConfig { folder: String },
    #[error("{folder}/{file}: can't be read: {source}")]
    UnreadableFile { folder: String, file: &'static str, source: io::Error },
    #[error("{folder}/{CONFIG_FILE}: {source}")]
    Malformed { folder: String, source: ParseError },
    #[error("{folder}/{CONFIG_FILE}: {field}: {reason}")]
    Field { folder: String, field: String, reason: String },
    #[error("{folder}/{file}: {reason}")]
    Certificate { folder: String, file: &'static str, reason: String },
}

/// Every mistake found, at least one.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub(super) Vec<Problem>);

/// The mistakes of one folder, as they are found.
pub(super) struct Findings<'a> {
    folder: &'a str,
    problems: Vec<Problem>,
}

// === impl Problem ===

impl Problem {
    /// The folder that it is about; none if it is about all of them.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::UnreadableDir { .. } | Self::Empty { .. } | Self::NothingYet => None,
            Self::NoConfig { folder }
            | Self::UnreadableFile { folder, .. }
            | Self::Malformed { folder, .. }
            | Self::Field { folder, .. }
            | Self::Certificate { folder, .. } => Some(folder),
        }
    }

    pub(super) fn field(folder: &str, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { folder: folder.to_owned(), field: field.into(), reason: reason.into() }
    }
}

// === impl Problems ===

impl Problems {
    /// Why nothing starts: what is wrong with the folders that are there, and which hold no configuration.
    pub(super) fn at_start(mut problems: Vec<Problem>, absent: Vec<String>) -> Self {
        let nothing_yet = problems.iter().all(|problem| matches!(problem, Problem::Empty { .. }));
        problems.extend(absent.into_iter().map(|folder| Problem::NoConfig { folder }));
        problems.extend(nothing_yet.then_some(Problem::NothingYet));
        Self(problems)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

// === impl Findings ===

impl<'a> Findings<'a> {
    pub(super) fn new(folder: &'a str) -> Self {
        Self { folder, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn malformed(&mut self, source: ParseError) {
        let folder = self.folder.to_owned();
        self.problems.push(Problem::Malformed { folder, source });
    }

    pub(super) fn field(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(Problem::field(self.folder, field, reason));
    }

    pub(super) fn certificate(&mut self, file: &'static str, reason: impl Into<String>) {
        self.problems.push(Problem::Certificate {
            folder: self.folder.to_owned(),
            file,
            reason: reason.into(),
        });
    }
}
