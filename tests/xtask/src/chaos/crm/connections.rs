//! A port that can be there and not be there.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

/// Waiting to be accepted, at most.
const BACKLOG: u32 = 1024;

/// Connections to one port, all of which can be ended.
pub struct Connections {
    address: SocketAddr,
    /// Holds the port while nobody listens. A port that is free may become that of a client, and one that tries to connect to its
    /// own is connected to itself.
    reserved: Option<TcpSocket>,
    listening: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

// === impl Connections ===

impl Connections {
    pub fn reserve() -> anyhow::Result<Self> {
        let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: socket.local_addr()?, reserved: Some(socket), listening: None })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn listen<F, Fut, E>(&mut self, answer: F) -> anyhow::Result<()>
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Response<Empty<Bytes>>, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let socket = self.reserved.take().context("somebody listens already")?;
        let listener = socket.listen(BACKLOG)?;
        let (stop, stopped) = oneshot::channel();
        self.listening = Some((stop, tokio::spawn(accept(listener, stopped, answer))));
        Ok(())
    }

    /// Ends all, those that wait to be accepted too; nobody listens from now on.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        if let Some((stop, task)) = self.listening.take() {
            drop(stop);
            task.await?;
            self.reserved = Some(bound(self.address)?);
        }
        Ok(())
    }
}

async fn accept<F, Fut, E>(listener: TcpListener, mut stopped: oneshot::Receiver<()>, answer: F)
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Response<Empty<Bytes>>, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = &mut stopped => break,
        };
        let Ok((stream, _)) = stream else { continue };
        let service = service_fn(answer.clone());
        connections.spawn(async move {
            stream.set_nodelay(true).ok();
            // a client that goes away is no news
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
    connections.shutdown().await;
}

fn bound(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // of connections that were ended the port remembers some for a minute
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("take the port {address}"))?;
    Ok(socket)
}
