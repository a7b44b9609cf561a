//! Where to connect to and when (reference/telegram.md sections 3.2 and 3.3).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{Connection, Engine};
use crate::telegram::{
    connection,
    queue::random_between,
    resolver::{self, AddressError},
};

/// The name is looked up again after this and up to a tenth more.
const RESOLVE_AGAIN: i64 = 30 * 60;

pub(super) fn resolve_again() -> Duration {
    Duration::from_secs(random_between(RESOLVE_AGAIN, RESOLVE_AGAIN + RESOLVE_AGAIN / 10).unsigned_abs())
}

impl Engine {
    pub(super) fn resolve(&mut self) {
        if self.setup.fixed_address {
            return;
        }
        let now = Instant::now();
        if now >= self.resolve_at {
            self.resolve_at = now + resolve_again();
            let server = Arc::clone(&self.bot.server);
            let (host, resolved) = (self.setup.url.host.clone(), self.resolved.clone());
            self.tasks.spawn(async move {
                let resolution = server.resolver.resolve(&*server.network, &host).await;
                // the engine may have ended
                resolved.send(resolution).ok();
            });
        }
        self.wake(self.resolve_at);
    }

    /// A moved address: new connections go there, the old ones end after their answer.
    pub(super) fn on_resolved(&mut self, resolution: Result<IpAddr, AddressError>) {
        let checked = resolution.and_then(|address| resolver::check(address, self.bot.server.local));
        let Ok(address) = checked else {
            return;
        };
        if address != self.setup.address {
            self.setup.address = address;
            self.setup.target.address = SocketAddr::new(address, self.setup.url.port);
            self.address_generation += 1;
            if let Some(webhook) = self.bot.lock().current(self.setup.generation) {
                webhook.ip = Some(address);
            }
        }
    }

    pub(super) fn open_connections(&mut self) {
        let now = Instant::now();
        let most = self.setup.max_connections as usize;
        let mut wanted = self.growth.wanted(self.lanes.len().min(most), now);
        if !self.verified {
            wanted = 1;
        }
        while self.connections.len() < wanted {
            match self.growth.open(now) {
                Ok(()) => self.open_connection(),
                Err(later) => return self.wake(later),
            }
        }
    }

    fn open_connection(&mut self) {
        self.last_connection += 1;
        let id = self.last_connection;
        let (requests, receiver) = mpsc::channel(1);
        self.tasks.spawn(connection::run(
            id,
            Arc::clone(&self.bot.server.network),
            self.setup.target.clone(),
            receiver,
            self.reports.clone(),
        ));
        self.connections.insert(
            id,
            Connection { requests, address_generation: self.address_generation, in_flight: None },
        );
        self.idle.push_back(id);
        if !self.verified {
            self.verified = true;
            if let Some(webhook) = self.bot.lock().current(self.setup.generation) {
                webhook.verified = true;
            }
        }
        if let Some(on_verified) = self.on_verified.take() {
            // a caller that went away doesn't mind
            on_verified.send(()).ok();
        }
    }
}
