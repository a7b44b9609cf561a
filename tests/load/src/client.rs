//! Connections from addresses of our choice.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What every command needs to know of the server.
#[derive(clap::Args, Clone)]
pub struct Target {
    /// Where the server listens
    #[arg(long)]
    pub address: SocketAddr,
    /// Name of the host
    #[arg(long)]
    pub host: String,
    /// File with the certificate authority to trust
    #[arg(long)]
    pub authority: PathBuf,
    /// Path of the webhook
    #[arg(long)]
    pub path: String,
    /// Token to send
    #[arg(long)]
    pub token: String,
}

/// Opens connections to the target.
#[derive(Clone)]
pub struct Connector {
    address: SocketAddr,
    host: ServerName<'static>,
    tls: TlsConnector,
    config: Arc<ClientConfig>,
}

/// A connection on which one request follows the other.
pub struct Connection {
    io: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

// === impl Connector ===

impl Connector {
    pub fn new(target: &Target) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&target.authority).context("read the authority")?)?;
        let mut provider = aws_lc_rs::default_provider();
        // the one that every system of the comparison has; the sidecar's hybrid would do more than the others
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // every handshake is a whole one
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Ok(Self {
            address: target.address,
            host: ServerName::try_from(target.host.clone())?,
            tls: TlsConnector::from(Arc::clone(&config)),
            config,
        })
    }

    /// The same for a server that listens elsewhere now.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    pub fn host(&self) -> ServerName<'static> {
        self.host.clone()
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    pub async fn tcp(&self, from: IpAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub async fn tls(&self, from: IpAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.tcp(from).await?;
        self.tls.connect(self.host(), stream).await
    }

    pub async fn open(&self, from: IpAddr) -> io::Result<Connection> {
        Ok(Connection { io: self.tls(from).await?, buffer: Vec::new() })
    }
}

// === impl Connection ===

impl Connection {
    /// Sends a request; the status of its answer, once that is there as a whole.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        read_status(&mut self.io, &mut self.buffer).await
    }

    /// Says goodbye, so that neither side sees an error.
    pub async fn close(mut self) {
        // the server may have been first
        self.io.shutdown().await.ok();
    }
}

async fn read_status<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    buffer: &mut Vec<u8>,
) -> io::Result<u16> {
    loop {
        if let Some((status, length)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(status);
        }
        if io.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Status and length of an answer that is there as a whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_length) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let whole = head_length + length.unwrap_or_default();
    Ok(head.code.filter(|_| bytes.len() >= whole).map(|status| (status, whole)))
}
