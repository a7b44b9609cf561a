//! Tells which of the updates in a file a filter lets through, and which rule drops the others: the `filter-test` subcommand.

mod values;

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::values::{Cut, Values};
use crate::{
    config::{Policy, Problem, Source, Webhook},
    ingress::{
        filter::{Filter, Verdict},
        update::{self, Malformed, Update},
    },
};

/// Why there is no filter to try.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<Problem>),
    #[error("there is no webhook {wanted}; there are: {}", .there.join(", "))]
    Unknown { wanted: String, there: Vec<String> },
    #[error("there are several webhooks, choose one by --webhook: {}", .0.join(", "))]
    Several(Vec<String>),
}

/// Why the updates can't be tried.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error("{}: can't be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("the result can't be written")]
    Write(#[from] io::Error),
}

/// How many updates there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub forwarded: usize,
    pub dropped: usize,
    pub malformed: usize,
    /// Of the malformed, those that aren't even JSON.
    pub not_json: usize,
}

/// The webhook to try; it need not be named where it is the only one.
pub fn choose(source: &Source, wanted: Option<&str>) -> Result<Arc<Webhook>, ChooseError> {
    let (policy, problems) = Policy::default().followed_by(source.read());
    let webhooks = policy.webhooks();
    let found = match wanted {
        Some(wanted) => webhooks.iter().find(|webhook| *webhook.name == *wanted),
        None => webhooks.first().filter(|_| webhooks.len() == 1),
    };
    if let Some(webhook) = found {
        return Ok(Arc::clone(webhook));
    }
    if !problems.is_empty() {
        return Err(ChooseError::Config(problems));
    }
    let there = webhooks.iter().map(|webhook| webhook.name.to_string()).collect();
    Err(match wanted {
        Some(wanted) => ChooseError::Unknown { wanted: wanted.to_owned(), there },
        None => ChooseError::Several(there),
    })
}

/// Tries every update in a file: an array of updates, or updates one after the other, such as one per line.
pub fn test_file(filter: &Filter, file: &Path, output: &mut impl Write) -> Result<Summary, TestError> {
    let unreadable = |source| TestError::Unreadable { file: file.to_owned(), source };
    let input = BufReader::new(File::open(file).map_err(unreadable)?);
    test(filter, input, output, unreadable)
}

fn test<R: BufRead>(
    filter: &Filter,
    input: R,
    output: &mut impl Write,
    unreadable: impl Fn(io::Error) -> TestError,
) -> Result<Summary, TestError> {
    let mut values = Values::new(input);
    let mut summary = Summary::default();
    while let Some(value) = values.next().map_err(&unreadable)? {
        let parsed = match value {
            Cut::Whole(body) => {
                update::parse(body).map(|update| (update, body)).map_err(Unreadable::Malformed)
            }
            Cut::TooLarge => Err(Unreadable::TooLarge),
        };
        match parsed {
            Ok((update, body)) => {
                let verdict = filter.judge(&update, body);
                summary.count(verdict);
                writeln!(output, "{}", Line { update: &update, verdict })?;
            }
            Err(reason) => {
                summary.malformed += 1;
                summary.not_json += usize::from(reason == Unreadable::Malformed(Malformed::NotJson));
                writeln!(output, "number {} is malformed: {reason}", summary.total())?;
            }
        }
    }
    writeln!(output, "{summary}")?;
    Ok(summary)
}

/// Why an update can't be tried.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unreadable {
    #[error("it {0}")]
    Malformed(Malformed),
    #[error("it is larger than any update")]
    TooLarge,
}

/// What is told of an update. Of what the update holds only numbers, and words that we know.
struct Line<'u> {
    update: &'u Update<'u>,
    verdict: Verdict,
}

// === impl Line ===

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Update { update_id, kind, facts } = self.update;
        write!(f, "{update_id} {}", kind.label())?;
        if let Some(chat) = facts.chat {
            write!(f, " chat {chat}")?;
        }
        match self.verdict {
            Verdict::Forward => f.write_str(": forward"),
            Verdict::Drop(rule) => write!(f, ": drop, {rule}"),
        }
    }
}

// === impl Summary ===

impl Summary {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Forward => self.forwarded += 1,
            Verdict::Drop(_) => self.dropped += 1,
        }
    }

    fn total(self) -> usize {
        self.forwarded + self.dropped + self.malformed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { forwarded, dropped, malformed, .. } = self;
        write!(f, "{} updates: {forwarded} forwarded, {dropped} dropped, {malformed} malformed", self.total())
    }
}

#[cfg(test)]
mod tests;
