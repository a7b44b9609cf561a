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
    listening: watch::Sender<Option<SocketAddr>>,
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

    pub fn listening(&self) -> watch::Receiver<Option<SocketAddr>> {
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
                if let Some(address) = webhook_address(&line) {
                    listening.send_replace(Some(address));
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

/// The address in the line that says where it listens.
fn webhook_address(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    line.pointer("/fields/webhook_address")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_address_is_found() {
        let line = r#"{"level":"INFO","fields":{"message":"listening","webhook_address":"127.0.0.1:7","admin_address":"127.0.0.1:8"}}"#;
        assert_eq!(webhook_address(line), "127.0.0.1:7".parse().ok());
        assert_eq!(webhook_address(&line.replace("webhook_address", "address")), None);
        assert_eq!(webhook_address("listening"), None);
    }
}
