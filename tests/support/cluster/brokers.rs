//! Images of the brokers, made of what Debian's packages have installed on this machine.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    image::{Image, Layout},
    paths::text,
    preflight,
};
use crate::servers::rabbitmq;

const REDIS: &str = "localhost/telegram-webhook-test-redis:test";
const RABBIT_MQ: &str = "localhost/telegram-webhook-test-rabbitmq:test";

/// Where Erlang and RabbitMQ are.
const RABBIT_MQ_FOLDERS: [&str; 2] = ["/usr/lib/erlang", "/usr/lib/rabbitmq"];
/// Programs that their scripts and they themselves start.
const RABBIT_MQ_NEEDS: [&str; 7] = ["sh", "basename", "date", "df", "dirname", "readlink", "erl"];

/// An image that runs redis-server with the configuration file that its pod names.
pub async fn redis() -> Result<Image> {
    let server = program("redis-server", "redis-server")?;
    Image::new(REDIS, Layout::new().with_binary("redis-server", &server).await?, &["/redis-server"])
}

/// An image that runs rabbitmq-server as its pod's environment says.
pub async fn rabbit_mq() -> Result<Image> {
    let mut layout = Layout::new();
    for name in RABBIT_MQ_NEEDS {
        let binary = program(name, "rabbitmq-server")?;
        layout = layout.with_binary(&format!("usr/bin/{name}"), &binary).await?;
    }
    // what starts a script, and what Erlang starts programs with
    layout = layout.with_program(Path::new("/bin/sh")).await?;
    for folder in RABBIT_MQ_FOLDERS {
        layout = layout.with_folder(Path::new(folder)).await.context("apt-get install rabbitmq-server")?;
    }
    // the script looks for the others beside itself, and the image has no links
    let server = fs::canonicalize(rabbitmq::SERVER).context("apt-get install rabbitmq-server")?;
    Image::new(RABBIT_MQ, layout, &[text(&server)?])
}

fn program(name: &str, package: &str) -> Result<std::path::PathBuf> {
    preflight::find(name).with_context(|| format!("{name} is missing: apt-get install {package}"))
}
