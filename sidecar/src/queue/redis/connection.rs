//! Connections to a Redis, however its servers are arranged.

use std::{io, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, RedisFuture,
    RedisResult, TlsCertificates, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use rustls::pki_types::ServerName;
use telegram_webhook_sidecar_config::{ClientCertificate, RedisTopology, Secret};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::config::{BrokerTls, RedisAddress, RedisSettings};

/// Within which there must be a connection, TLS and signing in included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Redirections and lost connections that one command may take within a cluster.
const CLUSTER_RETRIES: u32 = 3;

/// A connection that many can use at a time.
#[derive(Clone)]
pub(super) enum Connection {
    ToOne(MultiplexedConnection),
    ToCluster(ClusterConnection),
}

/// Connects to the server that takes writes.
pub(super) async fn connect(settings: &RedisSettings, answer_within: Duration) -> RedisResult<Connection> {
    let RedisSettings { addresses, topology, username, password, database, tls, .. } = settings;
    let user = user(username.as_deref(), password.as_ref()).set_db(i64::from(*database));
    match topology {
        RedisTopology::Standalone => {
            let address = addresses.first().ok_or_else(nowhere)?;
            open(address, tls.as_ref(), &user, answer_within).await.map(Connection::ToOne)
        }
        RedisTopology::Sentinel { service, username, password } => {
            let sentinel_user = self::user(username.as_deref(), password.as_ref());
            let address = ask_sentinels(settings, service, &sentinel_user, answer_within).await?;
            let mut connection = open(&address, tls.as_ref(), &user, answer_within).await?;
            ensure_main(&mut connection).await?;
            Ok(Connection::ToOne(connection))
        }
        RedisTopology::Cluster => cluster(settings, &user, answer_within).await.map(Connection::ToCluster),
    }
}

fn user(name: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    // older servers don't know it, and a user may not be allowed to
    let mut user = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(name) = name {
        user = user.set_username(name);
    }
    if let Some(Secret(password)) = password {
        user = user.set_password(password);
    }
    user
}

fn nowhere() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "no address"))
}

/// Connects to one server.
async fn open(
    address: &RedisAddress,
    tls: Option<&BrokerTls>,
    user: &RedisConnectionInfo,
    answer_within: Duration,
) -> RedisResult<MultiplexedConnection> {
    let opening = async {
        let RedisAddress { host, port } = address;
        let socket = TcpStream::connect((host.as_str(), *port)).await?;
        socket.set_nodelay(true)?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(answer_within));
        let Some(BrokerTls { config: tls, server_name, .. }) = tls else {
            let (connection, driver) = MultiplexedConnection::new_with_config(user, socket, config).await?;
            tokio::spawn(driver);
            return Ok(connection);
        };
        let of_host = || ServerName::try_from(host.clone()).map_err(io::Error::other);
        let name = server_name.clone().map_or_else(of_host, Ok)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, socket).await.map_err(tls_error)?;
        let (connection, driver) = MultiplexedConnection::new_with_config(user, stream, config).await?;
        tokio::spawn(driver);
        Ok(connection)
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
    timeout(CONNECT_TIMEOUT, opening).await.map_err(late)?
}

/// Tells a certificate that isn't accepted from a connection that is lost.
fn tls_error(error: io::Error) -> RedisError {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
        return RedisError::from((ErrorKind::InvalidClientConfig, "no TLS"));
    }
    error.into()
}

/// The server that takes writes, as the first sentinel says that knows it.
async fn ask_sentinels(
    settings: &RedisSettings,
    service: &str,
    user: &RedisConnectionInfo,
    answer_within: Duration,
) -> RedisResult<RedisAddress> {
    let mut error = nowhere();
    for sentinel in &settings.addresses {
        match ask_sentinel(sentinel, settings.tls.as_ref(), service, user, answer_within).await {
            Ok(address) => return Ok(address),
            Err(one) => error = one,
        }
    }
    Err(error)
}

async fn ask_sentinel(
    sentinel: &RedisAddress,
    tls: Option<&BrokerTls>,
    service: &str,
    user: &RedisConnectionInfo,
    answer_within: Duration,
) -> RedisResult<RedisAddress> {
    let mut connection = open(sentinel, tls, user, answer_within).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
    let unknown = || RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "unknown service"));
    answer.map(|(host, port)| RedisAddress { host, port }).ok_or_else(unknown)
}

/// A sentinel may be late to know that a server became a replica. One that doesn't say what it is is found out at the first write.
async fn ensure_main(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let role: RedisResult<Vec<Value>> = redis::cmd("ROLE").query_async(connection).await;
    let role = role.unwrap_or_default().into_iter().next().map(redis::from_redis_value::<String>);
    match role {
        Some(Ok(role)) if role != "master" => {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, "a replica").into())
        }
        _ => Ok(()),
    }
}

async fn cluster(
    settings: &RedisSettings,
    user: &RedisConnectionInfo,
    answer_within: Duration,
) -> RedisResult<ClusterConnection> {
    let RedisSettings { addresses, tls, .. } = settings;
    let nodes = addresses.iter().map(|RedisAddress { host, port }| {
        let (host, port) = (host.clone(), *port);
        let address = match tls {
            None => redis::ConnectionAddr::Tcp(host, port),
            Some(_) => redis::ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        };
        let node: RedisResult<redis::ConnectionInfo> =
            redis::IntoConnectionInfo::into_connection_info(address);
        node.map(|node| node.set_redis_settings(user.clone()))
    });
    let mut builder = ClusterClient::builder(nodes.collect::<RedisResult<Vec<_>>>()?)
        .retries(CLUSTER_RETRIES)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(answer_within);
    if let Some(BrokerTls { pem, .. }) = tls {
        let client_tls =
            pem.client_certificate.as_ref().map(|ClientCertificate { chain, key: Secret(key) }| {
                redis::ClientTlsConfig {
                    client_cert: chain.clone().into_bytes(),
                    client_key: key.clone().into_bytes(),
                }
            });
        let root_cert = pem.ca.as_ref().map(|ca| ca.clone().into_bytes());
        builder = builder.certs(TlsCertificates { client_tls, root_cert });
    }
    builder.build()?.get_async_connection().await
}

// === impl Connection ===

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::ToOne(connection) => connection.req_packed_command(cmd),
            Self::ToCluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::ToOne(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::ToCluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::ToOne(connection) => connection.get_db(),
            Self::ToCluster(connection) => connection.get_db(),
        }
    }
}
