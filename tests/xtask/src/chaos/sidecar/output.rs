//! What the sidecar says: where it listens, whether it panicked, and its last lines.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Child,
    sync::watch,
};

use crate::chaos::crm::lock;

/// Lines that are kept.
const KEPT: usize = 40;

/// The output of one process after the other.
#[derive(Default)]
pub struct Output {
    lines: Arc<Mutex<VecDeque<String>>>,
    panicked: Arc<AtomicBool>,
    /// Of the process that was started last.
    listening: watch::Sender<Option<Listening>>,
}

/// Where a sidecar listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    pub webhook: SocketAddr,
    pub admin: SocketAddr,
}

// === impl Output ===

impl Output {
    pub fn follow(&mut self, child: &mut Child) -> anyhow::Result<()> {
        // what the one before it says late goes nowhere
        self.listening = watch::Sender::new(None);
        self.read(child.stdout.take().context("no standard output")?);
        self.read(child.stderr.take().context("no standard error")?);
        Ok(())
    }

    pub fn listening(&self) -> watch::Receiver<Option<Listening>> {
        self.listening.subscribe()
    }

    pub fn panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    pub fn last_lines(&self) -> String {
        let lines: Vec<_> = lock(&self.lines).iter().map(|line| format!("  | {line}")).collect();
        lines.join("\n")
    }

    fn read(&self, output: impl AsyncRead + Unpin + Send + 'static) {
        let mut reader = BufReader::new(output).lines();
        let (lines, panicked) = (Arc::clone(&self.lines), Arc::clone(&self.panicked));
        let listening = self.listening.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = reader.next_line().await {
                if let Some(addresses) = addresses(&line) {
                    listening.send_replace(Some(addresses));
                }
                if line.contains("panicked at") {
                    panicked.store(true, Ordering::Relaxed);
                }
                let mut lines = lock(&lines);
                if lines.len() == KEPT {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
    }
}

/// The addresses in the line that says where it listens.
fn addresses(line: &str) -> Option<Listening> {
    if !line.contains("listening") {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |field| line.pointer(field)?.as_str()?.parse().ok();
    Some(Listening { webhook: address("/fields/webhook_address")?, admin: address("/fields/admin_address")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_addresses_is_found() {
        let line = r#"{"level":"INFO","fields":{"message":"listening","webhook_address":"127.0.0.1:7","admin_address":"127.0.0.1:8"}}"#;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(addresses(line), Some(Listening { webhook: address(7), admin: address(8) }));
        assert_eq!(addresses(&line.replace("webhook_address", "address")), None);
        assert_eq!(addresses("listening"), None);
    }
}
