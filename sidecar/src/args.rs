//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args as ClapArgs, Parser, Subcommand};
use telegram_webhook_sidecar_config::{ADMIN_PORT, CONFIG_DIR, WEBHOOK_PORT};

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

/// What to serve and where.
#[derive(ClapArgs, Debug, Clone)]
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
    #[arg(long = "poll-interval-ms", value_name = "MILLISECONDS", default_value = "1000", value_parser = period)]
    pub poll_interval: Duration,
    /// How long requests under way may take once told to stop; keep it below the pod's terminationGracePeriodSeconds.
    #[arg(long = "shutdown-deadline-seconds", value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub shutdown_deadline: Duration,
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
        assert_eq!((run.poll_interval.as_millis(), run.shutdown_deadline.as_secs()), (1000, 20));
    }

    #[test]
    fn a_poll_interval_of_nothing_is_refused() {
        let run = |interval: &str| Args::try_parse_from(["sidecar", "run", "--poll-interval-ms", interval]);
        assert!(run("0").is_err() && run("x").is_err() && run("1").is_ok());
    }
}
