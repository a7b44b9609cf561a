//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args as ClapArgs, Parser, Subcommand};
use telegram_webhook_sidecar_config::CONFIG_DIR;

use crate::app::Options;

/// Port for Telegram, as the injected container names it `tg-webhook`.
const WEBHOOK_PORT: u16 = 18443;
/// Port for probes, metrics and the operator, as the injected container names it `tg-admin`.
const ADMIN_PORT: u16 = 18444;

/// Receives Telegram updates in front of a CRM.
#[derive(Parser, Debug)]
#[command(name = "telegram-webhook-sidecar", version)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Serve the webhooks found in the configuration folder until told to stop.
    Run(RunArgs),
    /// Tell the sidecar in this pod that the pod is going away.
    Drain(DrainArgs),
}

#[derive(ClapArgs, Debug)]
pub struct RunArgs {
    /// Folder with one folder per TelegramWebhook.
    #[arg(long, default_value = CONFIG_DIR)]
    pub config_dir: PathBuf,
    /// Where Telegram connects to.
    #[arg(long, default_value_t = all_interfaces(WEBHOOK_PORT))]
    pub listen: SocketAddr,
    /// Where probes, the metrics scraper and the operator connect to.
    #[arg(long, default_value_t = all_interfaces(ADMIN_PORT))]
    pub admin_listen: SocketAddr,
    /// How often to look whether the configuration has changed.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub poll_interval_ms: u64,
    /// How long requests under way may take once told to stop; keep it below the pod's terminationGracePeriodSeconds.
    #[arg(long, default_value_t = 20)]
    pub shutdown_deadline_seconds: u64,
}

#[derive(ClapArgs, Debug)]
pub struct DrainArgs {
    /// Admin address of the sidecar to drain; it listens to its own pod only.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT)))]
    pub admin_address: SocketAddr,
}

const fn all_interfaces(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

impl From<RunArgs> for Options {
    fn from(args: RunArgs) -> Self {
        Self {
            config_dir: args.config_dir,
            listen: args.listen,
            admin_listen: args.admin_listen,
            poll_interval: Duration::from_millis(args.poll_interval_ms),
            shutdown_deadline: Duration::from_secs(args.shutdown_deadline_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
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
    }
}
