//! The command line.

pub mod dead_letters;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args as ClapArgs, Parser, Subcommand};
use telegram_webhook_sidecar_config::{ADMIN_PORT, CONFIG_DIR, STATE_DIR, WEBHOOK_PORT};

use self::dead_letters::DeadLettersArgs;
use crate::{admin::bans, config::Source};

/// Receives Telegram updates in front of a CRM.
#[derive(Parser, Debug)]
#[command(name = "telegram-webhook-sidecar", version)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Serve the configured webhooks until told to stop.
    Run(RunArgs),
    /// Say whether the configuration can be used, and if not, every mistake in it; warn of a certificate that Telegram will refuse.
    Check(ConfigSource),
    /// Tell a running sidecar to be found no more: its pod is going away.
    Drain(DrainArgs),
    /// Show who is banned by a running sidecar, or end a ban.
    Bans(BansArgs),
    /// Show how many updates wait in the queues of a running sidecar.
    Queue(AdminArgs),
    /// Show what a running sidecar set aside because the CRM couldn't take it, or deliver it again.
    DeadLetters(DeadLettersArgs),
    /// Look whether what is stored on the volume is as it was written, or save what is left of it. No sidecar may be using it.
    Journal(JournalArgs),
    /// Do nothing until told to stop: what a pod runs that is made for the sidecar beside it.
    StandBy,
    /// Tell which of the updates in a file would be forwarded, and which rule drops the others. No certificate is needed.
    FilterTest(FilterTestArgs),
}

/// Where the configuration is.
#[derive(ClapArgs, Debug, Clone)]
pub struct ConfigSource {
    /// Folder with one folder per webhook, as the operator fills it: config.json, tls.crt and tls.key in each.
    #[arg(long, value_name = "DIR", default_value = CONFIG_DIR)]
    config_dir: PathBuf,
    /// File with all webhooks, instead of the folder.
    #[arg(long, value_name = "FILE", conflicts_with = "config_dir")]
    config: Option<PathBuf>,
}

/// What to serve and where.
#[derive(ClapArgs, Debug, Clone)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigSource,
    /// Folder for what has to survive a restart; no other sidecar may use it.
    #[arg(long, default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// Where Telegram connects to.
    #[arg(long, default_value_t = all_interfaces(WEBHOOK_PORT))]
    pub listen: SocketAddr,
    /// Where probes, the metrics scraper and the operator connect to.
    #[arg(long, default_value_t = all_interfaces(ADMIN_PORT))]
    pub admin_listen: SocketAddr,
    /// How often to look whether the configuration has changed.
    #[arg(long = "poll-interval-ms", value_name = "MILLISECONDS", default_value = "1000", value_parser = period)]
    pub poll_interval: Duration,
    /// How long requests under way may take once told to stop; in a pod, keep it below terminationGracePeriodSeconds.
    #[arg(long = "shutdown-deadline-seconds", value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub shutdown_deadline: Duration,
    /// Store updates and deliver none of them: others that share the queue do. A queue that nobody shares takes nothing.
    #[arg(long)]
    pub store_only: bool,
}

#[derive(ClapArgs, Debug)]
pub struct DrainArgs {
    /// How long to wait until every update has been delivered. What is left then is told, and is no failure; 0 doesn't wait.
    #[arg(long = "wait-seconds", value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub wait: Duration,
    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(ClapArgs, Debug)]
pub struct BansArgs {
    #[command(subcommand)]
    pub command: Option<BansCommand>,
    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Subcommand, Debug, Default)]
pub enum BansCommand {
    /// Show who is banned, by what and until when.
    #[default]
    List,
    /// End the ban of an address.
    Lift {
        /// As it is listed, or any address of an IPv6 network that is.
        #[arg(value_parser = bans::address)]
        address: IpAddr,
    },
}

#[derive(ClapArgs, Debug)]
pub struct AdminArgs {
    /// Admin address of the running sidecar. Changes are taken from the same machine or pod only.
    #[arg(long, global = true, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT)))]
    pub admin_address: SocketAddr,
}

#[derive(ClapArgs, Debug)]
pub struct JournalArgs {
    #[command(subcommand)]
    pub command: JournalCommand,
    /// Folder that the sidecar was told to keep its state in.
    #[arg(long, global = true, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// Only that of this bot.
    #[arg(long, global = true, value_name = "ID")]
    pub bot: Option<i64>,
}

#[derive(Subcommand, Debug, Clone, Copy)]
pub enum JournalCommand {
    /// Read everything, change nothing, and say what is wrong first.
    Verify,
    /// Put a new journal with all that is intact in the place of a damaged one; the old files are kept in a folder beside it.
    Repair,
}

#[derive(ClapArgs, Debug)]
pub struct FilterTestArgs {
    #[command(flatten)]
    pub config: ConfigSource,
    /// File with the JSON object of a filter alone, instead of a configuration.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "config_dir", "webhook"])]
    pub filter: Option<PathBuf>,
    /// Whose filter to try; needed where there are several.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub webhook: Option<String>,
    /// File with one update, an array of updates, an answer of getUpdates, or one update per line; `-` is standard input.
    pub updates: PathBuf,
}

// === impl ConfigSource ===

impl ConfigSource {
    pub fn source(&self) -> Source {
        match &self.config {
            Some(file) => Source::File(file.clone()),
            None => Source::Folder(self.config_dir.clone()),
        }
    }
}

const fn all_interfaces(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

fn period(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a number of milliseconds above 0".to_owned()),
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "must be a number of seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_arguments_that_the_operator_injects_are_enough() {
        let args = Args::try_parse_from([
            "telegram-webhook-sidecar",
            "run",
            "--config-dir",
            "/etc/telegram-webhook-sidecar",
        ]);
        let Ok(Args { command: Command::Run(run) }) = args else {
            panic!("not understood: {args:?}");
        };
        assert_eq!(run.listen.to_string(), "0.0.0.0:18443");
        assert_eq!(run.admin_listen.to_string(), "0.0.0.0:18444");
        // where the operator mounts a volume
        assert_eq!(run.state_dir, Path::new("/var/lib/telegram-webhook-sidecar"));
        assert_eq!((run.poll_interval.as_millis(), run.shutdown_deadline.as_secs()), (1000, 20));
    }

    #[test]
    fn the_configuration_is_a_folder_or_a_file_and_not_both() {
        let source = |arguments: &[&str]| {
            let args = Args::try_parse_from([&["sidecar", "check"], arguments].concat());
            args.map(|args| match args.command {
                Command::Check(config) => config.source(),
                other => panic!("{other:?}"),
            })
        };
        assert!(matches!(source(&[]), Ok(Source::Folder(dir)) if dir == Path::new(CONFIG_DIR)));
        assert!(matches!(source(&["--config-dir", "d"]), Ok(Source::Folder(dir)) if dir == Path::new("d")));
        assert!(matches!(source(&["--config", "f"]), Ok(Source::File(file)) if file == Path::new("f")));
        assert!(source(&["--config", "f", "--config-dir", "d"]).is_err());
    }

    #[test]
    fn a_filter_is_that_of_a_webhook_or_a_file_of_its_own() {
        let parse = |args: &[&str]| Args::try_parse_from([&["sidecar", "filter-test", "-"], args].concat());
        assert!(parse(&["--filter", "f"]).is_ok() && parse(&["--config", "c", "--webhook", "a/b"]).is_ok());
        for other in ["--config", "--config-dir", "--webhook"] {
            assert!(parse(&["--filter", "f", other, "c"]).is_err(), "{other}");
        }
    }

    #[test]
    fn the_journal_is_verified_or_repaired_and_of_all_bots_unless_one_is_named() {
        let parse = |args: &[&str]| match Args::try_parse_from([&["sidecar", "journal"], args].concat()) {
            Ok(Args { command: Command::Journal(journal) }) => Some(journal),
            _ => None,
        };
        let all = parse(&["verify"]).unwrap();
        assert!(matches!(all.command, JournalCommand::Verify));
        assert!(all.bot.is_none() && all.state_dir == Path::new(STATE_DIR));
        let one = parse(&["repair", "--state-dir", "d", "--bot", "7"]).unwrap();
        assert!(matches!(one.command, JournalCommand::Repair));
        assert!(one.bot == Some(7) && one.state_dir == Path::new("d"));
        assert!(parse(&[]).is_none() && parse(&["verify", "--bot", "x"]).is_none());
    }

    #[test]
    fn a_poll_interval_of_nothing_is_refused() {
        let run = |interval: &str| Args::try_parse_from(["sidecar", "run", "--poll-interval-ms", interval]);
        assert!(run("0").is_err() && run("x").is_err() && run("1").is_ok());
    }

    #[test]
    fn bans_are_listed_unless_an_address_is_to_be_lifted() {
        let parse = |args: &[&str]| match Args::try_parse_from([&["sidecar", "bans"], args].concat()) {
            Ok(Args { command: Command::Bans(bans) }) => Some(bans),
            _ => None,
        };
        let nothing = parse(&[]).unwrap();
        assert!(nothing.command.is_none() && nothing.admin.admin_address.port() == ADMIN_PORT);
        let list = parse(&["list", "--admin-address", "127.0.0.1:1"]).unwrap();
        assert!(matches!(list.command, Some(BansCommand::List)) && list.admin.admin_address.port() == 1);
        let lift = parse(&["lift", "2a00:1:2:3::/64"]).unwrap();
        assert!(matches!(lift.command, Some(BansCommand::Lift { .. })));
        assert!(parse(&["lift", "x"]).is_none() && parse(&["lift"]).is_none());
    }
}
