//! Programs that Debian would run as services, of which only we run our own.

use std::path::Path;

use telegram_webhook_tests::{cluster::command, tools};

use crate::progress::Progress;

/// What keeps updates, and the program by which it is found.
const BROKERS: &[(&str, &[&str])] =
    &[("redis-server", &["redis-server"]), ("rabbitmq-server", &["rabbitmq-server"])];

/// Installs the brokers that are missing.
pub async fn install_brokers(progress: &Progress) -> anyhow::Result<()> {
    let installed = tools::require(BROKERS, &progress.sayer()).await?;
    stop(&installed, &[("redis-server", "redis-server"), ("rabbitmq-server", "rabbitmq-server")]).await
}

/// Stops the services of packages that have just been installed: Debian starts what it installs.
pub async fn stop(installed: &[&str], services: &[(&str, &str)]) -> anyhow::Result<()> {
    let has_systemd = Path::new("/run/systemd/system").exists();
    for (_, service) in services.iter().filter(|(package, _)| installed.contains(package)) {
        if has_systemd {
            command::run("systemctl", &["disable", "--now", "--quiet", service]).await?;
        } else {
            command::run("service", &[service, "stop"]).await?;
        }
    }
    Ok(())
}
