//! Closes a connection so that the client gets to read our last answer.
//!
//! A socket that is closed while the client's bytes are unread resets the connection, and a reset may overtake the answer: a
//! refused body would look like a broken network. So after saying that nothing more will come we take in what the client was still
//! sending, up to a bound.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const LINGER: Duration = Duration::from_secs(2);
const MAX_DISCARDED: usize = 256 << 10;

/// A stream whose shutdown waits for the client's.
pub(super) struct Lingering<IO> {
    io: IO,
    /// Set once our side is shut down.
    until: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

// === impl Lingering ===

impl<IO: AsyncRead + AsyncWrite + Unpin> Lingering<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, until: None, discarded: 0 }
    }

    /// Ready when the client has closed, or when it has sent or taken too much.
    fn poll_linger(&mut self, until: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        if until.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut buffer = [0; 4096];
        while self.discarded < MAX_DISCARDED {
            let mut read = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut self.io).poll_read(cx, &mut read));
            if result.is_err() || read.filled().is_empty() {
                break;
            }
            self.discarded += read.filled().len();
        }
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut until = if let Some(until) = self.until.take() {
            until
        } else {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            Box::pin(sleep(LINGER))
        };
        let lingered = self.poll_linger(until.as_mut(), cx);
        self.until = Some(until);
        lingered.map(Ok)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Lingering<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, read)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_is_not_waited_for() {
        let (ours, mut theirs) = duplex(64);
        theirs.write_all(b"rest of a body").await.unwrap();
        theirs.shutdown().await.unwrap();
        let started = Instant::now();
        Lingering::new(ours).shutdown().await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
        let mut answer = Vec::new();
        assert_eq!(theirs.read_to_end(&mut answer).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_neither_sends_nor_closes_is_left_after_a_while() {
        let (ours, _theirs) = duplex(64);
        let started = Instant::now();
        Lingering::new(ours).shutdown().await.unwrap();
        assert_eq!(started.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_stops_sending_is_left_at_the_bound() {
        let (ours, mut theirs) = duplex(MAX_DISCARDED * 2);
        theirs.write_all(&vec![0; MAX_DISCARDED * 2]).await.unwrap();
        let mut ours = Lingering::new(ours);
        ours.shutdown().await.unwrap();
        assert!(ours.discarded < MAX_DISCARDED * 2);
    }
}
