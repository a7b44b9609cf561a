//! Updates wait in RabbitMQ.

mod bans;
mod own;
mod proxy;

use std::time::SystemTime;

use telegram_webhook_sidecar::{
    config::RabbitMqSettings,
    queue::{
        Appended, Clock, DeadLetter, DeadLetterId, Depth, Lease, Outcome, Queue, QueueError, Reason,
        Selection, Update,
        rabbitmq::{RabbitMqQueue, RabbitMqReceipt},
    },
};
use telegram_webhook_sidecar_config::{Consume, RabbitMq, Secret};
use tokio::sync::watch;

use self::proxy::Proxy;
use telegram_webhook_tests::servers::rabbitmq::{PASSWORD, USER, shared};

use crate::{
    bench::{Bench, Outage, Room},
    every_promise, every_promise_in_an_outage, every_promise_of_a_shared_queue, promised,
};

const BOT: i64 = 123_456;

/// Queues of a node that all benches share.
pub struct Brokered {
    rabbitmq: RabbitMq,
    port: u16,
    /// Whether the node can be reached.
    is_reachable: watch::Sender<bool>,
}

/// A queue whose connection can be cut.
pub struct Cuttable {
    pub queue: RabbitMqQueue,
    pub proxy: Proxy,
}

// === impl Brokered ===

impl Brokered {
    /// With names that nobody else uses.
    pub fn new(rabbitmq: RabbitMq, port: u16) -> anyhow::Result<Self> {
        let name_prefix = format!("test-{:016x}", getrandom::u64()?);
        Ok(Self {
            rabbitmq: RabbitMq { name_prefix, ..rabbitmq },
            port,
            is_reachable: watch::Sender::new(true),
        })
    }

    /// One that breaks if anything fails.
    pub async fn open_with(&self, rabbitmq: &RabbitMq) -> anyhow::Result<Cuttable> {
        let proxy = Proxy::start(self.port, self.is_reachable.subscribe()).await?;
        let rabbitmq = RabbitMq { addresses: vec![proxy.address()], ..rabbitmq.clone() };
        let queue = RabbitMqQueue::open(settings(&rabbitmq)?, BOT, Clock::new())?;
        Ok(Cuttable { queue, proxy })
    }
}

impl Bench for Brokered {
    type Queue = Cuttable;
    // what another sidecar stored is told from a first copy when it is given out
    const TELLS_COPIES: bool = false;
    const ONE_PLACE: bool = false;

    async fn start(room: Room) -> anyhow::Result<Self> {
        let port = shared().await?.port;
        let max_updates = match room {
            Room::Plenty => 100_000,
            Room::Little => 100,
        };
        Self::new(RabbitMq { max_updates, ..rabbitmq() }, port)
    }

    async fn open(&self) -> anyhow::Result<Cuttable> {
        self.open_with(&self.rabbitmq).await
    }

    async fn crash(&self, queue: Cuttable) -> anyhow::Result<()> {
        queue.proxy.cut();
        drop(queue);
        Ok(())
    }
}

impl Outage for Brokered {
    async fn begin(&self) -> anyhow::Result<()> {
        self.is_reachable.send_replace(false);
        Ok(())
    }

    async fn end(&self) -> anyhow::Result<()> {
        self.is_reachable.send_replace(true);
        Ok(())
    }
}

/// A RabbitMQ as the configuration file says it.
pub fn rabbitmq() -> RabbitMq {
    RabbitMq {
        addresses: Vec::new(),
        virtual_host: "/".to_owned(),
        username: USER.to_owned(),
        password: Secret(PASSWORD.to_owned()),
        tls: None,
        name_prefix: "test".to_owned(),
        partitions: 2,
        max_updates: 100_000,
        consume: Consume::Sidecar,
    }
}

pub fn settings(rabbitmq: &RabbitMq) -> anyhow::Result<RabbitMqSettings> {
    RabbitMqSettings::new(rabbitmq).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))
}

impl Queue for Cuttable {
    type Receipt = RabbitMqReceipt;

    async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        self.queue.append(update).await
    }

    async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        self.queue.bury(update, reason).await
    }

    async fn next(&self) -> Result<Lease<RabbitMqReceipt>, QueueError> {
        self.queue.next().await
    }

    async fn settle(&self, lease: Lease<RabbitMqReceipt>, outcome: Outcome) -> Result<(), QueueError> {
        self.queue.settle(lease, outcome).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.queue.depth().await
    }

    async fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        self.queue.dead_letters(selection, after, limit).await
    }

    async fn replay(&self, id: DeadLetterId) -> Result<bool, QueueError> {
        self.queue.replay(id).await
    }

    async fn forget_dead_letters(&self, before: SystemTime) -> Result<u64, QueueError> {
        self.queue.forget_dead_letters(before).await
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.queue.close().await
    }
}

every_promise!(Brokered);
every_promise_of_a_shared_queue!(Brokered);
every_promise_in_an_outage!(Brokered);
