//! What can be wrong with the configuration. Names files and fields, never a value.

use std::{fmt, io, path::PathBuf};

use telegram_webhook_sidecar_config::{CONFIG_FILE, ParseError, TLS_CERT_FILE, TLS_KEY_FILE};

use super::place::{CertificatePart, Place};

/// One mistake.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}: can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{}: holds no webhook: there must be a folder for each, with {CONFIG_FILE}, {TLS_CERT_FILE} and {TLS_KEY_FILE}",
        dir.display()
    )]
    Empty { dir: PathBuf },
    #[error(
        "none of the Secrets of the pod's TelegramWebhooks exists yet: see the Ready condition of each TelegramWebhook"
    )]
    NothingYet,
    #[error("{folder}/{CONFIG_FILE}: does not exist")]
    NoConfig { folder: String },
    #[error("{folder}/{file}: can't be read: {source}")]
    UnreadableFile { folder: String, file: &'static str, source: io::Error },
    #[error("{}: webhooks: must be at least one", file.display())]
    NoWebhook { file: PathBuf },
    #[error("{}: {}", file.display(), if source.field == "." { source.reason.clone() } else { source.to_string() })]
    MalformedFile { file: PathBuf, source: ParseError },
    #[error("{}: {reason}", place.of_field(field))]
    Field { place: Place, field: String, reason: String },
    #[error("{}: {reason}", place.of_certificate(*part))]
    Certificate { place: Place, part: CertificatePart, reason: String },
}

/// Every mistake found, at least one.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub(super) Vec<Problem>);

/// The mistakes of one webhook, as they are found.
pub(crate) struct Findings<'a> {
    place: &'a Place,
    problems: Vec<Problem>,
}

// === impl Problem ===

impl Problem {
    /// The folder that it is about; none if it is about all of them, or about a file.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Unreadable { .. }
            | Self::Empty { .. }
            | Self::NothingYet
            | Self::NoWebhook { .. }
            | Self::MalformedFile { .. } => None,
            Self::NoConfig { folder } | Self::UnreadableFile { folder, .. } => Some(folder),
            Self::Field { place, .. } | Self::Certificate { place, .. } => place.folder(),
        }
    }

    /// What it says of a filter that is no part of a webhook.
    pub(crate) fn of_filter(&self) -> Option<String> {
        let Self::Field { field, reason, .. } = self else { return None };
        Some(format!("{}: {reason}", field.strip_prefix("filter.").unwrap_or(field)))
    }

    pub(super) fn field(place: &Place, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { place: place.clone(), field: field.into(), reason: reason.into() }
    }
}

// === impl Problems ===

impl Problems {
    /// What is wrong with the folders that are there, and which hold no configuration.
    pub(super) fn of(mut problems: Vec<Problem>, absent: Vec<String>) -> Self {
        problems.extend(absent.into_iter().map(|folder| Problem::NoConfig { folder }));
        Self(problems)
    }

    /// Why nothing starts. Where there is nothing at all, an operator is about to bring something.
    pub(super) fn at_start(problems: Vec<Problem>, absent: Vec<String>) -> Self {
        let nothing_yet = problems.iter().all(|problem| matches!(problem, Problem::Empty { .. }));
        let mut problems = Self::of(problems, absent);
        problems.0.extend(nothing_yet.then_some(Problem::NothingYet));
        problems
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
    pub(crate) fn new(place: &'a Place) -> Self {
        Self { place, problems: Vec::new() }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(crate) fn field(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(Problem::field(self.place, field, reason));
    }

    pub(super) fn certificate(&mut self, part: CertificatePart, reason: impl Into<String>) {
        let place = self.place.clone();
        self.problems.push(Problem::Certificate { place, part, reason: reason.into() });
    }
}
