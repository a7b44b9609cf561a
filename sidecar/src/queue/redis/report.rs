//! Whether a Redis is set up so that what it acknowledges stays. It can't be made so from here: it is said loudly.

use std::{collections::HashMap, fmt};

use redis::{RedisResult, aio::ConnectionLike};
use tokio::sync::watch;

use super::connection::Connection;

/// What is known of the server's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each reason for which an acknowledged update can be lost.
    pub doubts: Vec<Doubt>,
}

/// A reason for which an acknowledged update can be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// The server keeps all in memory, or in snapshots that are taken now and then.
    NoLog,
    /// The server writes to its disk when it has answered.
    LateSync(String),
    /// The server drops keys when its memory is used up.
    Evicts(String),
    /// The user may not look.
    Unknown,
}

/// Looks at the server's settings and says what is wrong with them, once for each change.
pub(super) async fn look(connection: &mut Connection, report: &watch::Sender<Option<Report>>) {
    let found = Report { doubts: doubts(connection).await };
    if report.borrow().as_ref() == Some(&found) {
        return;
    }
    for doubt in &found.doubts {
        tracing::warn!(%doubt, durable = found.durable(), "Redis may lose updates that it has acknowledged");
    }
    report.send_replace(Some(found));
}

async fn doubts(connection: &mut Connection) -> Vec<Doubt> {
    let mut question = redis::cmd("CONFIG");
    question.arg("GET").arg(&["appendonly", "appendfsync", "maxmemory", "maxmemory-policy"]);
    let settings: RedisResult<HashMap<String, String>> = match connection {
        Connection::ToOne(connection) => question.query_async(connection).await,
        // any node's: they are set up alike
        Connection::ToCluster(connection) => {
            let answer = connection.req_packed_command(&question).await;
            answer.and_then(|answer| Ok(redis::from_redis_value(answer)?))
        }
    };
    settings.map_or_else(|_| vec![Doubt::Unknown], |settings| of_settings(&settings))
}

fn of_settings(settings: &HashMap<String, String>) -> Vec<Doubt> {
    let setting = |name: &str| settings.get(name).map(String::as_str);
    let log = match (setting("appendonly"), setting("appendfsync")) {
        (Some("yes"), Some("always")) => None,
        (Some("yes"), Some(when)) => Some(Doubt::LateSync(when.to_owned())),
        (Some(_), _) => Some(Doubt::NoLog),
        _ => Some(Doubt::Unknown),
    };
    let evicts = match (setting("maxmemory"), setting("maxmemory-policy")) {
        (Some("0"), _) | (_, Some("noeviction")) => None,
        (_, Some(policy)) => Some(Doubt::Evicts(policy.to_owned())),
        _ => None,
    };
    log.into_iter().chain(evicts).collect()
}

// === impl Report ===

impl Report {
    /// Whether an acknowledged update survives whatever is killed or switched off.
    pub fn durable(&self) -> bool {
        self.doubts.is_empty()
    }
}

// === impl Doubt ===

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog => f.write_str("appendonly is not yes: set appendonly yes and appendfsync always"),
            Self::LateSync(when) => write!(
                f,
                "appendfsync is {when}: set always, or accept that a machine that fails takes a second of updates with it"
            ),
            Self::Evicts(policy) => write!(f, "maxmemory-policy is {policy}: set noeviction"),
            Self::Unknown => f.write_str(
                "the user may not look (CONFIG GET): make sure of appendonly yes, appendfsync always, maxmemory-policy noeviction",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(settings: [(&str, &str); 4]) -> Vec<Doubt> {
        of_settings(&settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn only_a_log_that_is_on_disk_before_the_answer_is_durable() {
        let with = |log, sync| {
            doubts([
                ("appendonly", log),
                ("appendfsync", sync),
                ("maxmemory", "0"),
                ("maxmemory-policy", "allkeys-lru"),
            ])
        };
        assert_eq!(with("yes", "always"), []);
        assert_eq!(with("yes", "everysec"), [Doubt::LateSync("everysec".to_owned())]);
        assert_eq!(with("no", "always"), [Doubt::NoLog]);
    }

    #[test]
    fn whatever_drops_keys_is_not_durable() {
        let with = |policy| {
            doubts([
                ("appendonly", "yes"),
                ("appendfsync", "always"),
                ("maxmemory", "1000000"),
                ("maxmemory-policy", policy),
            ])
        };
        assert_eq!(with("noeviction"), []);
        assert_eq!(with("volatile-ttl"), [Doubt::Evicts("volatile-ttl".to_owned())]);
        assert_eq!(of_settings(&HashMap::new()), [Doubt::Unknown]);
    }
}
