//! How deliveries reach a webhook: a real network for the simulator's users, and the trait behind which a test puts a
//! scripted server in the same runtime, so that a paused clock never waits for a socket.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where to connect to.
#[derive(Clone)]
pub struct Target {
    /// Pinned when the webhook was set.
    pub address: SocketAddr,
    /// Name that the certificate must have.
    pub host: String,
    /// Trust for TLS; none for plain HTTP.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Names and connections.
pub trait Network: Send + Sync + 'static {
    /// All addresses of a name; the error is the resolver's text.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>>;

    /// An open connection, after its TLS handshake; the error is the text of `last_error_message`.
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Box<dyn Connection>, String>>;
}

/// A connection that can tell the end of TLS from the end of the transport beneath.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {
    /// After a read of nothing: ready when the transport has ended too. Telegram doesn't notice a mere TLS close.
    fn poll_transport_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Connection for DuplexStream {
    fn poll_transport_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Connection for TcpStream {
    fn poll_transport_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Connection for TlsStream<TcpStream> {
    fn poll_transport_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut bytes = [0; 64];
            let mut rest = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *self.get_mut().0).poll_read(context, &mut rest))?;
            if rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The network of this machine.
#[derive(Debug, Default)]
pub struct RealNetwork;

impl Network for RealNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(async move {
            match lookup_host((host, 0)).await {
                Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
                Err(error) => Err(error
                    .to_string()
                    .trim_start_matches("failed to lookup address information: ")
                    .to_owned()),
            }
        })
    }

    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Box<dyn Connection>, String>> {
        Box::pin(async move {
            let tcp = TcpStream::connect(target.address).await.map_err(|error| error_text(&error))?;
            tcp.set_nodelay(true).map_err(|error| error_text(&error))?;
            let Some(tls) = &target.tls else {
                return Ok(Box::new(tcp) as Box<dyn Connection>);
            };
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| "SSL error {invalid host name}".to_owned())?;
            let stream = TlsConnector::from(Arc::clone(tls))
                .connect(name, tcp)
                .await
                .map_err(|error| error_text(&error))?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}

/// The system's or the TLS library's text for a failure, as `last_error_message` would show it.
pub fn error_text(error: &io::Error) -> String {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => {
                "SSL error {error:0A000086:SSL routines::certificate verify failed}".to_owned()
            }
            other => format!("SSL error {{{other}}}"),
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "Connection reset by peer".to_owned(),
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        io::ErrorKind::BrokenPipe => "Broken pipe".to_owned(),
        io::ErrorKind::HostUnreachable => "No route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "Network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}
