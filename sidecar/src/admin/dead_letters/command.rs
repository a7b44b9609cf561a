//! The `dead-letters` command: asks the admin port, and tells people what it says.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use http::Method;
use jiff::Timestamp;

use super::{
    Entry, PATH, Replay,
    query::{AFTER, ALL, CHAT, DRY_RUN, ID, LIMIT, SINCE, UNTIL, WEBHOOK},
};
use crate::{
    admin::{
        client::{AskError, ask, ask_within},
        query::written,
    },
    queue::DeadLetterId,
};

/// As many as are listed at a time.
const PAGE: usize = 100;
/// Every update is written anew.
const REPLAY_TIMEOUT: Duration = Duration::from_hours(1);

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the answer can't be written")]
    Write(#[from] io::Error),
}

/// Whose dead letters are meant.
#[derive(Debug, Clone)]
pub struct Asked {
    pub admin: SocketAddr,
    /// Need not be said where there is one.
    pub webhook: Option<String>,
}

/// Conditions that hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    pub chat: Option<i64>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// What is to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Ids(Vec<DeadLetterId>),
    Selected(Conditions),
    All,
}

// === impl Asked ===

impl Asked {
    /// Writes a line for each.
    pub async fn list(&self, conditions: &Conditions, output: &mut impl Write) -> Result<(), CommandError> {
        let mut after = None;
        loop {
            let mut parameters = self.parameters(conditions);
            parameters.extend([(AFTER, after.clone()), (LIMIT, Some(PAGE.to_string()))]);
            let page = ask(self.admin, Method::GET, &written(PATH, &parameters)).await?;
            let page: Vec<Entry> = serde_json::from_slice(&page).map_err(AskError::from)?;
            for entry in &page {
                writeln!(output, "{entry}")?;
            }
            let Some(last) = page.last() else {
                if after.is_none() {
                    writeln!(output, "nothing was set aside")?;
                }
                return Ok(());
            };
            after = Some(last.id.clone());
        }
    }

    /// Writes an update as it came.
    pub async fn show(&self, id: DeadLetterId, output: &mut impl Write) -> Result<(), CommandError> {
        let path = written(&format!("{PATH}/{id}/update"), &self.parameters(&Conditions::default()));
        let body = ask(self.admin, Method::GET, &path).await?;
        output.write_all(&body)?;
        writeln!(output)?;
        Ok(())
    }

    /// Writes what was replayed: of ids a line for each, so that it is known how far it came.
    pub async fn replay(
        &self,
        which: &Which,
        dry_run: bool,
        output: &mut impl Write,
    ) -> Result<(), CommandError> {
        let everything = Conditions::default();
        match which {
            Which::Ids(ids) => {
                for id in ids {
                    let parameters =
                        [self.parameters(&everything), vec![(ID, Some(id.to_string()))]].concat();
                    self.replay_these(parameters, dry_run, output).await?;
                }
                Ok(())
            }
            Which::Selected(conditions) => {
                self.replay_these(self.parameters(conditions), dry_run, output).await
            }
            Which::All => {
                let parameters = [self.parameters(&everything), vec![(ALL, yes(true))]].concat();
                self.replay_these(parameters, dry_run, output).await
            }
        }
    }

    async fn replay_these(
        &self,
        mut parameters: Vec<(&str, Option<String>)>,
        dry_run: bool,
        output: &mut impl Write,
    ) -> Result<(), CommandError> {
        parameters.push((DRY_RUN, yes(dry_run)));
        let path = written(&format!("{PATH}/replay"), &parameters);
        let answer = ask_within(self.admin, Method::POST, &path, REPLAY_TIMEOUT).await?;
        let replay = serde_json::from_slice(&answer).map_err(AskError::from)?;
        writeln!(output, "{}", shown(&replay))?;
        Ok(())
    }

    fn parameters(&self, conditions: &Conditions) -> Vec<(&'static str, Option<String>)> {
        let Conditions { chat, since, until } = conditions;
        vec![
            (WEBHOOK, self.webhook.clone()),
            (CHAT, chat.map(|chat| chat.to_string())),
            (SINCE, since.map(|since| since.to_string())),
            (UNTIL, until.map(|until| until.to_string())),
        ]
    }
}

fn yes(yes: bool) -> Option<String> {
    yes.then(|| true.to_string())
}

fn shown(replay: &Replay) -> String {
    let Replay { dry_run, count, ids } = replay;
    if *count == 0 {
        return "there is nothing to replay".to_owned();
    }
    let did = if *dry_run { "would replay" } else { "replayed" };
    let named = ids.join(", ");
    match count.saturating_sub(ids.len() as u64) {
        0 => format!("{did} {count}: {named}"),
        more => format!("{did} {count}: {named} and {more} more"),
    }
}
