//! Attacks: so many connections at a time, each replaced as soon as the server is rid of it, but not more new ones per second than
//! told.

mod script;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    net::IpAddr,
    time::Duration,
};

use futures::future::join_all;
use ipnet::Ipv4Net;
use telegram_webhook_load::{Attack, Attackers};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use self::script::{Script, Then};
use crate::client::{Connector, Target};

/// Between two bytes of somebody who is slow.
const DRIP: Duration = Duration::from_secs(1);
/// What is kept of the answers on one connection.
const MAX_READ: u64 = 64 << 10;

#[derive(clap::Args)]
pub struct Arguments {
    attack: Attack,
    #[command(flatten)]
    target: Target,
    /// Addresses to attack from
    #[arg(long)]
    from: Ipv4Net,
    /// Connections at a time
    #[arg(long)]
    connections: usize,
    /// New connections per second at most
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    seconds: u64,
}

struct Attacker {
    connector: Connector,
    script: Script,
    deadline: Instant,
    /// When the next connection may be opened.
    next: Cell<Instant>,
    gap: Duration,
    opened: Cell<u64>,
    closed: Cell<u64>,
    statuses: RefCell<BTreeMap<String, u64>>,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<Attackers> {
    let Arguments { attack, target, from, connections, rate, seconds } = arguments;
    let connector = Connector::new(&target)?;
    let script = Script::of(attack, &target, &connector)?;
    let now = Instant::now();
    let attacker = Attacker {
        connector,
        script,
        deadline: now + Duration::from_secs(seconds),
        next: Cell::new(now),
        gap: Duration::from_secs(1) / rate,
        opened: Cell::default(),
        closed: Cell::default(),
        statuses: RefCell::default(),
    };
    let addresses: Vec<_> = from.hosts().map(IpAddr::V4).collect();
    join_all(addresses.iter().cycle().take(connections).map(|address| attacker.persist(*address))).await;
    let Attacker { opened, closed, statuses, .. } = attacker;
    Ok(Attackers { opened: opened.get(), closed: closed.get(), statuses: statuses.into_inner() })
}

// === impl Attacker ===

impl Attacker {
    /// One connection after the other from an address.
    async fn persist(&self, from: IpAddr) {
        while Instant::now() < self.deadline {
            let turn = self.next.get().max(Instant::now());
            self.next.set(turn + self.gap);
            sleep_until(turn.min(self.deadline)).await;
            self.opened.set(self.opened.get() + 1);
            // an error is an end like any other
            if timeout_at(self.deadline, self.once(from)).await.is_ok() {
                self.closed.set(self.closed.get() + 1);
            }
        }
    }

    async fn once(&self, from: IpAddr) -> io::Result<()> {
        if self.script.tls {
            self.play(self.connector.tls(from).await?).await
        } else {
            self.play(self.connector.tcp(from).await?).await
        }
    }

    async fn play<IO: AsyncRead + AsyncWrite>(&self, io: IO) -> io::Result<()> {
        let (reader, mut writer) = split(io);
        let mut answers = Vec::new();
        let mut reader = reader.take(MAX_READ);
        let end = tokio::select! {
            read = reader.read_to_end(&mut answers) => read.map(drop),
            // ends with an error only: there may be an answer to read yet
            _ = self.send(&mut writer) => reader.read_to_end(&mut answers).await.map(drop),
        };
        for status in statuses(&answers) {
            *self.statuses.borrow_mut().entry(status).or_default() += 1;
        }
        end
    }

    async fn send<W: AsyncWrite + Unpin>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&self.script.opening).await?;
        writer.flush().await?;
        match &self.script.then {
            Then::Wait => std::future::pending().await,
            Then::Drip(bytes) => loop {
                sleep(DRIP).await;
                writer.write_all(bytes).await?;
                writer.flush().await?;
            },
            Then::Stream(bytes) => loop {
                writer.write_all(bytes).await?;
            },
        }
    }
}

/// The statuses of all answers.
fn statuses(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer.chars().take(3).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_seen() {
        let answers = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(statuses(answers), ["401", "200"]);
        assert!(statuses(b"\x15\x03\x01").is_empty());
    }
}
