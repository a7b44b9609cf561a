//! What Redis' errors mean for a queue. The texts are ours: the server's may quote what was sent.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::queue::QueueError;

/// What a failed command means for whoever asked the queue for something.
pub(super) fn queue_error(error: &RedisError) -> QueueError {
    let unavailable = |text: &str| QueueError::Unavailable(text.to_owned());
    let broken = |text: &str| QueueError::Broken(text.to_owned());
    match error.kind() {
        ErrorKind::AuthenticationFailed => refused(),
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::NoPerm => {
                broken("the user may not do what is needed there: see its access control list")
            }
            ServerErrorKind::BusyLoading => unavailable("the server is loading its data"),
            ServerErrorKind::ReadOnly => unavailable("the server is a replica now"),
            ServerErrorKind::MasterDown => unavailable("the server has lost the one it replicates"),
            ServerErrorKind::ClusterDown => unavailable("the cluster is down"),
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain => {
                unavailable("the bot's keys are moving to another node")
            }
            _ => of_code(error, error.detail().and_then(|detail| detail.split_whitespace().next())),
        },
        ErrorKind::Extension => of_code(error, error.code()),
        ErrorKind::Io if error.is_timeout() => unavailable("the server doesn't answer in time"),
        // what was wrong with the settings themselves was told before
        ErrorKind::InvalidClientConfig => {
            broken("there is no TLS with the server: is its certificate trusted, and for its name?")
        }
        ErrorKind::MasterNameNotFoundBySentinel => broken("the sentinels know no such service"),
        _ => unavailable(error.category()),
    }
}

/// Whether the connection is of no use any more, or leads to the wrong server.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    let demoted =
        matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown));
    let signed_out = matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    demoted || signed_out || error.is_io_error() || error.is_unrecoverable_error()
}

/// By the word with which the server's answer begins.
fn of_code(error: &RedisError, code: Option<&str>) -> QueueError {
    let code = code.unwrap_or_default().trim_start_matches('-');
    match code {
        "OOM" => QueueError::Full("the server has used up its memory (maxmemory)".to_owned()),
        "MISCONF" => QueueError::Broken("the server can't write to its disk".to_owned()),
        "NOREPLICAS" => {
            QueueError::Unavailable("the server has too few replicas (min-replicas-to-write)".to_owned())
        }
        "NOAUTH" | "WRONGPASS" => refused(),
        "BUSY" => QueueError::Unavailable("the server is busy with somebody's script".to_owned()),
        _ => QueueError::Broken(format!("the server refuses: {}", error.category())),
    }
}

fn refused() -> QueueError {
    QueueError::Broken("the server refuses the user name or the password".to_owned())
}
