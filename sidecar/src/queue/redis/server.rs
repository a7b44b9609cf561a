//! A Redis that is called: connects at the first call and again after a connection was lost.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{
    connection::{Connection, connect},
    error::{ends_connection, queue_error},
    report::{self, Report},
};
use crate::{config::RedisSettings, queue::QueueError};

/// How long a failed connect is the answer for whoever comes next, so that a server that is back isn't run down.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Server {
    settings: RedisSettings,
    answer_within: Duration,
    link: Mutex<Link>,
    report: watch::Sender<Option<Report>>,
}

/// The connection, if there is one.
#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    /// Counts connections: whose failure is told late ends no later one.
    number: u64,
    failed: Option<(Instant, QueueError)>,
}

// === impl Server ===

impl Server {
    pub(super) fn new(settings: RedisSettings, answer_within: Duration) -> Self {
        Self { settings, answer_within, link: Mutex::default(), report: watch::Sender::new(None) }
    }

    /// What has been seen of the server's own settings at the latest connect.
    pub(super) fn report(&self) -> watch::Receiver<Option<Report>> {
        self.report.subscribe()
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let (mut connection, number) = self.connection().await?;
        let result = script.invoke_async(&mut connection).await;
        self.judged(result, number).await
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        let (mut connection, number) = self.connection().await?;
        let result = command.query_async(&mut connection).await;
        self.judged(result, number).await
    }

    async fn judged<T>(&self, result: RedisResult<T>, number: u64) -> Result<T, QueueError> {
        let Err(error) = result else { return result.map_err(|error| queue_error(&error)) };
        if ends_connection(&error) {
            let mut link = self.link.lock().await;
            if link.number == number {
                link.connection = None;
            }
        }
        Err(queue_error(&error))
    }

    async fn connection(&self) -> Result<(Connection, u64), QueueError> {
        let asked = Instant::now();
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.number));
        }
        // whoever waited for the lock meanwhile shares the outcome
        if let Some((at, error)) = &link.failed
            && *at + PAUSE > asked
        {
            return Err(error.clone());
        }
        let connected = connect(&self.settings, self.answer_within).await;
        let mut connection = connected.map_err(|error| self.failed(&mut link, &error))?;
        report::look(&mut connection, &self.report).await;
        link.number += 1;
        link.failed = None;
        link.connection = Some(connection.clone());
        Ok((connection, link.number))
    }

    fn failed(&self, link: &mut Link, error: &RedisError) -> QueueError {
        let error = queue_error(error);
        // once for each outage
        if link.failed.is_none() {
            tracing::warn!(%error, servers = self.settings.addresses.len(), "no connection to Redis");
        }
        link.failed = Some((Instant::now(), error.clone()));
        error
    }
}
