//! A client that writes the bytes it is told and reads answers: what is tested are requests that no proper client would send.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use telegram_webhook_tests::{
    pki::Authority,
    sidecar::{DEADLINE, Sidecar},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// An open connection.
pub struct Connection<IO = TlsStream<TcpStream>> {
    io: IO,
    /// Read, but not yet part of an answer.
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: String,
}

/// How to shake hands.
pub struct Handshake<'a> {
    pub host: &'a str,
    pub send_name: bool,
}

impl Connection {
    /// Connects to the webhook port as Telegram does: trusts the authority, names the host.
    pub async fn open(sidecar: &Sidecar, authority: &Authority, host: &str) -> anyhow::Result<Self> {
        let handshake = Handshake { host, send_name: true };
        Self::shake_hands(sidecar, authority, &handshake).await
    }

    /// Connects as a proxy does that says first whose connection it is.
    pub async fn open_announced(
        sidecar: &Sidecar,
        authority: &Authority,
        host: &str,
        announcement: impl AsRef<[u8]>,
    ) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(sidecar.webhook_address).await?;
        stream.write_all(announcement.as_ref()).await?;
        Self::shake_hands_over(stream, authority, &Handshake { host, send_name: true }).await
    }

    pub async fn shake_hands(
        sidecar: &Sidecar,
        authority: &Authority,
        handshake: &Handshake<'_>,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(sidecar.webhook_address).await?;
        Self::shake_hands_over(stream, authority, handshake).await
    }

    async fn shake_hands_over(
        stream: TcpStream,
        authority: &Authority,
        handshake: &Handshake<'_>,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_sni = handshake.send_name;
        let name = ServerName::try_from(handshake.host.to_owned())?;
        let io = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Self { io, buffer: Vec::new() })
    }

    /// The certificate that the server showed.
    pub fn certificate(&self) -> anyhow::Result<CertificateDer<'static>> {
        let chain = self.io.get_ref().1.peer_certificates().unwrap_or_default();
        let leaf = chain.first().context("no certificate")?;
        Ok(leaf.clone().into_owned())
    }
}

impl Connection<TcpStream> {
    /// Connects to the admin port.
    pub async fn open_admin(sidecar: &Sidecar) -> anyhow::Result<Self> {
        let io = TcpStream::connect(sidecar.admin_address).await?;
        Ok(Self { io, buffer: Vec::new() })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await?;
        Ok(())
    }

    /// Sends and reads the answer.
    pub async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<Answer> {
        self.send(bytes).await?;
        self.answer().await
    }

    /// Reads one answer, which must have a length.
    pub async fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.buffer)? {
                self.buffer.drain(..length);
                return Ok(answer);
            }
            if !self.read().await? {
                bail!("closed after {:?}", String::from_utf8_lossy(&self.buffer));
            }
        }
    }

    /// Whether the server closes without saying anything more.
    pub async fn is_closed(&mut self) -> bool {
        // an end without TLS' goodbye is one too
        let more = self.read().await.unwrap_or(false);
        !more && self.buffer.is_empty()
    }

    async fn read(&mut self) -> anyhow::Result<bool> {
        let read = self.io.read_buf(&mut self.buffer);
        let read = timeout(DEADLINE, read).await.context("nothing came")??;
        Ok(read > 0)
    }
}

// === impl Answer ===

impl Answer {
    /// The first answer in `bytes` and its length, once it is whole.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_length) = head.parse(bytes)? else {
            return Ok(None);
        };
        let headers = head.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_lowercase(), value)
        });
        let mut answer =
            Self { status: head.code.context("no status")?, headers: headers.collect(), body: String::new() };
        let length: usize = answer.header("content-length").context("no length")?.parse()?;
        let Some(body) = bytes.get(head_length..head_length + length) else {
            return Ok(None);
        };
        answer.body = String::from_utf8_lossy(body).into_owned();
        Ok(Some((answer, head_length + length)))
    }

    /// The value of a header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Fails unless it says nothing beyond its status, as every answer to Telegram must.
    pub fn assert_bare(&self) {
        assert_eq!(self.header("content-length"), Some("0"), "{self:?}");
        assert_eq!(self.header("strict-transport-security"), Some("max-age=31536000"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        let expected = [
            "content-length",
            "strict-transport-security",
            "x-content-type-options",
            "date",
            "connection",
            "allow",
            "retry-after",
        ];
        for (name, _) in &self.headers {
            assert!(expected.contains(&name.as_str()), "unexpected {name} in {self:?}");
        }
    }
}
