//! A connection to one of the nodes, and what its errors mean to a queue.

use std::{io, time::Duration};

use lapin::{
    Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError, BasicProperties},
    runtime::default_runtime,
    tcp::{AMQPUriTcpExt as _, RustlsConnector, TLSConfig},
    types::ShortString,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use telegram_webhook_sidecar_config::Secret;
use tokio::time::timeout;

use crate::{
    config::{BrokerTls, RabbitMqAddress, RabbitMqSettings},
    queue::QueueError,
};

/// Within which a connection must be there, its handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Within which a message must be confirmed. Without that it isn't stored, as far as anybody knows.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds after which both sides ask whether the other one is there; after two of them they take it that it isn't.
pub const HEARTBEAT: u16 = 10;

/// Connects to the first node that can be reached, beginning with any of them.
pub async fn connect(settings: &RabbitMqSettings) -> Result<Connection, QueueError> {
    let addresses = &settings.addresses;
    let first = getrandom::u32().unwrap_or_default() as usize % addresses.len().max(1);
    let mut problem = QueueError::Unavailable("there is no address".to_owned());
    for address in addresses.iter().cycle().skip(first).take(addresses.len()) {
        match timeout(CONNECT_TIMEOUT, connect_to(address, settings)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => problem = QueueError::from(error).at(address),
            Err(_) => problem = QueueError::Unavailable("took too long to connect".to_owned()).at(address),
        }
    }
    Err(problem)
}

async fn connect_to(address: &RabbitMqAddress, settings: &RabbitMqSettings) -> lapin::Result<Connection> {
    let RabbitMqSettings { virtual_host, username, password: Secret(password), tls, .. } = settings;
    let RabbitMqAddress { host, port } = address;
    let userinfo = AMQPUserInfo { username: username.clone(), password: password.clone() };
    let uri = AMQPUri {
        // what encrypts is put on top by ourselves, because of the name that the certificate is for
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority { userinfo, host: host.clone(), port: *port },
        vhost: virtual_host.clone(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
    };
    let properties = ConnectionProperties::default().with_connection_name("telegram-webhook-sidecar".into());
    let tls = tls.clone();
    let connect = async move |uri: AMQPUri, runtime| {
        let stream = uri.connect_with_config_async(TLSConfig::default(), &runtime).await?;
        let Some(BrokerTls { config, server_name, .. }) = &tls else { return Ok(stream) };
        let of_host = || uri.authority.host.as_str().into();
        let name = server_name.as_ref().map_or_else(of_host, |name| name.to_str());
        Ok(stream.into_rustls(&RustlsConnector::from(config.clone()), &name).await?)
    };
    Connection::connector(uri, default_runtime()?, connect, properties).await
}

/// A channel on which every message is confirmed.
pub async fn publisher(connection: &Connection) -> Result<Channel, QueueError> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Puts a message into a queue or a stream. It is there, on the disks of most of its nodes, if that is confirmed, and only then.
pub async fn publish(
    publisher: &Channel,
    queue: ShortString,
    properties: BasicProperties,
    body: &[u8],
) -> Result<(), QueueError> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirmed =
        async { publisher.basic_publish("".into(), queue.clone(), options, body, properties).await?.await };
    match timeout(CONFIRM_TIMEOUT, confirmed).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(()),
        Ok(Ok(Confirmation::Ack(Some(_)))) => {
            Err(QueueError::Unavailable(format!("there is no queue {queue}")))
        }
        Ok(Ok(Confirmation::Nack(_))) => {
            Err(QueueError::Full(format!("RabbitMQ takes no more into {queue}")))
        }
        Ok(Ok(Confirmation::NotRequested)) => {
            Err(QueueError::Broken("RabbitMQ doesn't confirm what it is sent".to_owned()))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(QueueError::Unavailable(format!("RabbitMQ doesn't confirm what is sent to {queue}"))),
    }
}

/// Whether a queue is there with other arguments.
pub fn is_conflict(error: &lapin::Error) -> bool {
    soft_error(error) == Some(AMQPSoftError::PRECONDITIONFAILED)
}

/// Whether a queue isn't there.
pub fn is_missing(error: &lapin::Error) -> bool {
    soft_error(error) == Some(AMQPSoftError::NOTFOUND)
}

fn soft_error(error: &lapin::Error) -> Option<AMQPSoftError> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    let AMQPErrorKind::Soft(error) = error.kind() else { return None };
    Some(error.clone())
}

/// Whether somebody has to do something about it here or there.
fn is_refusal(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => matches!(
            error.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
        ),
        // a certificate that isn't trusted, or is for another name
        ErrorKind::IOError(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

// === impl QueueError ===

impl From<lapin::Error> for QueueError {
    fn from(error: lapin::Error) -> Self {
        let text = error.to_string();
        if is_refusal(&error) { Self::Broken(text) } else { Self::Unavailable(text) }
    }
}

impl QueueError {
    /// Says where it happened.
    fn at(self, address: &RabbitMqAddress) -> Self {
        match self {
            Self::Unavailable(text) => Self::Unavailable(format!("{address}: {text}")),
            Self::Broken(text) => Self::Broken(format!("{address}: {text}")),
            other @ (Self::Full(_) | Self::Closed) => other,
        }
    }
}
