//! What stands between a queue and its server, to cut the connection as the network or a kill -9 does.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// Passes on connections to a server.
pub struct Proxy {
    port: u16,
    cut: CancellationToken,
}

// === impl Proxy ===

impl Proxy {
    /// To a port of our own, for as long as `is_open`.
    pub async fn start(to: u16, is_open: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let cut = CancellationToken::new();
        tokio::spawn(cut.clone().run_until_cancelled_owned(serve(listener, to, is_open, cut.clone())));
        Ok(Self { port, cut })
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections for ever.
    pub fn cut(&self) {
        self.cut.cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn serve(listener: TcpListener, to: u16, is_open: watch::Receiver<bool>, cut: CancellationToken) {
    while let Ok((client, _)) = listener.accept().await {
        let mut is_open = is_open.clone();
        tokio::spawn(cut.clone().run_until_cancelled_owned(async move {
            tokio::select! {
                biased;
                _ = is_open.wait_for(|is_open| !is_open) => Ok(()),
                passed = pass(client, to) => passed,
            }
        }));
    }
}

async fn pass(mut client: TcpStream, to: u16) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
