//! What `dead-letters` takes.

use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;

use super::AdminArgs;
use crate::{
    admin::{
        dead_letters::command::{Conditions, Which},
        query::time,
    },
    queue::DeadLetterId,
};

#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    pub command: Option<DeadLettersCommand>,
    /// Whose; needed where there are several.
    #[arg(long, global = true, value_name = "NAMESPACE/NAME")]
    pub webhook: Option<String>,
    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Subcommand, Debug)]
pub enum DeadLettersCommand {
    /// Show what was set aside and why, oldest first.
    List(ConditionArgs),
    /// Write an update as Telegram sent it.
    Show {
        /// As it is listed.
        id: DeadLetterId,
    },
    /// Deliver again what was set aside, each behind what waits in its chat.
    Replay {
        #[command(flatten)]
        which: WhichArgs,
        /// Only say which those are.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Conditions that hold together.
#[derive(Args, Debug, Default)]
pub struct ConditionArgs {
    /// What is of that chat, or of that user where there is no chat.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    chat: Option<i64>,
    /// What was set aside then or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// What was set aside earlier.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

#[derive(Args, Debug)]
#[group(skip)]
#[command(group = one_of(&["ids", "chat", "since", "until", "all"]))]
pub struct WhichArgs {
    /// These, as they are listed.
    #[arg(long = "id", value_name = "ID", num_args = 1.., conflicts_with_all = ["chat", "since", "until", "all"])]
    ids: Vec<DeadLetterId>,
    #[command(flatten)]
    conditions: ConditionArgs,
    /// Everything that was set aside.
    #[arg(long, conflicts_with_all = ["chat", "since", "until"])]
    all: bool,
}

// === impl DeadLettersCommand ===

impl Default for DeadLettersCommand {
    fn default() -> Self {
        Self::List(ConditionArgs::default())
    }
}

// === impl ConditionArgs ===

impl From<ConditionArgs> for Conditions {
    fn from(ConditionArgs { chat, since, until }: ConditionArgs) -> Self {
        Self { chat, since, until }
    }
}

// === impl WhichArgs ===

impl From<WhichArgs> for Which {
    fn from(WhichArgs { ids, conditions, all }: WhichArgs) -> Self {
        match (all, ids.is_empty()) {
            (true, _) => Self::All,
            (false, false) => Self::Ids(ids),
            (false, true) => Self::Selected(conditions.into()),
        }
    }
}

/// Must be said, in one way or another.
fn one_of(args: &[&'static str]) -> ArgGroup {
    ArgGroup::new("which").args(args).required(true).multiple(true)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{
        super::{Args, Command},
        *,
    };

    fn parse(args: &[&str]) -> Option<DeadLettersArgs> {
        match Args::try_parse_from([&["sidecar", "dead-letters"], args].concat()) {
            Ok(Args { command: Command::DeadLetters(dead_letters) }) => Some(dead_letters),
            _ => None,
        }
    }

    fn replay(args: &[&str]) -> Option<(Which, bool)> {
        match parse(&[&["replay"], args].concat())?.command? {
            DeadLettersCommand::Replay { which, dry_run } => Some((which.into(), dry_run)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dead_letters_are_listed_unless_told_otherwise() {
        let nothing = parse(&[]).unwrap();
        assert!(matches!(nothing.command.unwrap_or_default(), DeadLettersCommand::List(_)));
        let list =
            parse(&["list", "--chat", "-7", "--webhook", "crm/a", "--admin-address", "127.0.0.1:1"]).unwrap();
        assert_eq!((list.webhook.as_deref(), list.admin.admin_address.port()), (Some("crm/a"), 1));
        let Some(DeadLettersCommand::List(conditions)) = list.command else { panic!("{:?}", list.command) };
        assert_eq!(Conditions::from(conditions), Conditions { chat: Some(-7), ..Conditions::default() });
        let show = parse(&["--webhook", "crm/a", "show", "5-1"]).unwrap();
        let id = DeadLetterId { major: 5, minor: 1 };
        assert!(matches!(show.command, Some(DeadLettersCommand::Show { id: shown }) if shown == id));
        assert!(parse(&["show"]).is_none() && parse(&["show", "5"]).is_none());
        assert!(parse(&["list", "--since", "yesterday"]).is_none());
    }

    #[test]
    fn a_replay_says_what_is_meant_in_one_way() {
        let id = |major| DeadLetterId { major, minor: 0 };
        let both = Some((Which::Ids(vec![id(5), id(6)]), false));
        assert_eq!(replay(&["--id", "5-0", "6-0"]), both);
        assert_eq!(replay(&["--id", "5-0", "--id", "6-0"]), both);
        assert_eq!(replay(&["--all", "--dry-run"]), Some((Which::All, true)));
        let (since, until) = ("2026-11-24T09:30:00Z", "2026-11-24T11:00:00+01:00");
        let conditions = Conditions {
            chat: Some(-7),
            since: Some("2026-11-24T09:30:00Z".parse().unwrap()),
            until: Some("2026-11-24T10:00:00Z".parse().unwrap()),
        };
        let within = replay(&["--chat", "-7", "--since", since, "--until", until]);
        assert_eq!(within, Some((Which::Selected(conditions), false)));
        for unclear in [
            &[][..],
            &["--dry-run"],
            &["--id"],
            &["--all", "--chat", "7"],
            &["--all", "--since", since],
            &["--id", "5-0", "--all"],
            &["--id", "5-0", "--until", until],
        ] {
            assert!(replay(unclear).is_none(), "{unclear:?}");
        }
    }
}
