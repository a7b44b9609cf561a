//! What hyper leaves open: it doesn't say when a head begins; and the answers that it gives by itself to what is no HTTP must carry
//! the security headers of all others.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::waiting::Progress;

/// A year: browsers never come here, but scanners grade the answer.
pub const HSTS: &str = "max-age=31536000";
/// What such an answer ends with instead.
const SECURE_END: &[u8] =
    b"strict-transport-security: max-age=31536000\r\nx-content-type-options: nosniff\r\n\r\n";
const HSTS_NAME: &[u8] = b"strict-transport-security";

/// The stream of a connection.
pub(super) struct Guarded<IO> {
    io: IO,
    progress: Progress,
    /// Adds the headers where they are missing.
    secure: bool,
    /// The rest of an answer to which they were added.
    amended: Vec<u8>,
}

// === impl Guarded ===

impl<IO: AsyncRead + AsyncWrite + Unpin> Guarded<IO> {
    pub(super) fn new(io: IO, progress: Progress, secure: bool) -> Self {
        Self { io, progress, secure, amended: Vec::new() }
    }

    /// Writes what `amended` holds; then all of `length` bytes that it stands for are written.
    fn poll_amended(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while !self.amended.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.amended))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.amended.drain(..written);
        }
        Poll::Ready(Ok(length))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = read.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, read);
        if read.filled().len() > before {
            self.progress.read();
        }
        result
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.amended.is_empty() && self.secure && is_bare_refusal(data) {
            self.amended =
                data.strip_suffix(b"\r\n").map(|head| [head, SECURE_END].concat()).unwrap_or_default();
        }
        if self.amended.is_empty() {
            Pin::new(&mut self.io).poll_write(cx, data)
        } else {
            self.poll_amended(cx, data.len())
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = data.iter().find(|part| !part.is_empty());
        match first {
            Some(first) if self.secure && (!self.amended.is_empty() || is_bare_refusal(first)) => {
                self.poll_write(cx, first)
            }
            _ => Pin::new(&mut self.io).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Whether this is a whole answer that refuses and lacks the headers: one that didn't come from the handler.
fn is_bare_refusal(data: &[u8]) -> bool {
    data.starts_with(b"HTTP/1.1 4")
        && data.ends_with(b"\r\n\r\n")
        && !data.windows(HSTS_NAME.len()).any(|part| part.eq_ignore_ascii_case(HSTS_NAME))
}

#[cfg(test)]
mod tests;
