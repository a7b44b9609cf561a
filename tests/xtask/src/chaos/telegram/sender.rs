//! One connection at a time, to wherever the sidecar is now.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use telegram_webhook_load::{client::Connection, update};
use tokio::time::timeout;

use super::{Shared, Update};
use crate::chaos::crm::lock;

/// What takes longer counts as not answered. Telegram has a minute.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Sender {
    pub shared: Arc<Shared>,
    connection: Option<Connection>,
}

// === impl Sender ===

impl Sender {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, connection: None }
    }

    /// Sends an update once; whether it is acknowledged. Waits until there is somebody to send it to.
    pub async fn send(&mut self, update: Update) -> bool {
        // the sender is gone when the run has failed
        if self.shared.address.clone().wait_for(Option::is_some).await.is_err() {
            return std::future::pending().await;
        }
        let status = timeout(PATIENCE, self.ask(update)).await.ok().flatten();
        match status {
            Some(200) => {
                lock(&self.shared.ledger).acknowledged(update.id);
                lock(&self.shared.acknowledged).push(update);
            }
            Some(other) => *lock(&self.shared.refusals).entry(other).or_default() += 1,
            None => self.connection = None,
        }
        status == Some(200)
    }

    async fn ask(&mut self, update: Update) -> Option<u16> {
        let Shared { target, connector, address, .. } = &*self.shared;
        let mut connection = if let Some(open) = self.connection.take() {
            open
        } else {
            let address = (*address.borrow())?;
            connector.at(address).open(Ipv4Addr::LOCALHOST.into()).await.ok()?
        };
        let Update { id, chat } = update;
        let request = update::request_with(target, &update::body(id, chat), "");
        let status = connection.ask(&request).await.ok()?;
        self.connection = Some(connection);
        Some(status)
    }
}
