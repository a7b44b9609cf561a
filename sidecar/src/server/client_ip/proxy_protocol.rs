//! The header of the PROXY protocol, version 1 or 2, with which a proxy in front begins each connection. What follows it belongs
//! to TLS, so that not a byte more is taken from the socket.

use std::{io, net::IpAddr, time::Duration};

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

/// A proxy sends the header with the first packet.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longest header of version 1, by its specification.
const MAX_V1: usize = 107;
/// What every header of version 2 begins with, and nothing else.
const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const PREFIX_V1: &[u8] = b"PROXY ";
/// Version 2 up to and with its length.
const FIXED_V2: usize = 16;
/// Addresses of 216 bytes at most, and a few attributes that we don't need.
const MAX_REST_V2: usize = 520;

/// Why there is no client's address.
#[derive(Debug, thiserror::Error)]
pub enum BadHeader {
    #[error("it took too long to arrive")]
    Timeout(#[from] Elapsed),
    #[error("it ended early: {0}")]
    Io(#[from] io::Error),
    #[error("it is not one of version 1 or 2")]
    Malformed,
    #[error("it is too long")]
    TooLong,
    #[error("it is of a datagram")]
    NotTcp,
}

/// Takes the header, and nothing else, from a connection. The client's address; none where the proxy speaks for itself.
pub(in crate::server) async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, BadHeader> {
    let header = timeout(DEADLINE, whole(stream)).await??;
    let (client, length) = parse(&header)?;
    if length == header.len() { Ok(client) } else { Err(BadHeader::Malformed) }
}

/// The client that a whole header at the start of `bytes` names, none if it names none, and the header's length.
pub fn parse(bytes: &[u8]) -> Result<(Option<IpAddr>, usize), BadHeader> {
    if !bytes.starts_with(PREFIX_V1) && !bytes.starts_with(SIGNATURE_V2) {
        return Err(BadHeader::Malformed);
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (header, length) = ProxyHeader::parse(bytes, config).map_err(|_| BadHeader::Malformed)?;
    match header.proxied_address() {
        Some(proxied) if proxied.protocol == Protocol::Datagram => Err(BadHeader::NotTcp),
        proxied => Ok((proxied.map(|proxied| proxied.source.ip().to_canonical()), length)),
    }
}

async fn whole(stream: &mut TcpStream) -> Result<Vec<u8>, BadHeader> {
    let mut header = vec![0; SIGNATURE_V2.len()];
    // the shortest header of version 1 is longer
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE_V2 {
        rest_of_v2(stream, &mut header).await?;
    } else if header.starts_with(PREFIX_V1) {
        rest_of_v1(stream, &mut header).await?;
    } else {
        return Err(BadHeader::Malformed);
    }
    Ok(header)
}

/// It says how long it is.
async fn rest_of_v2(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), BadHeader> {
    let mut fixed = [0; FIXED_V2 - SIGNATURE_V2.len()];
    stream.read_exact(&mut fixed).await?;
    header.extend_from_slice(&fixed);
    let [_, _, high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > MAX_REST_V2 {
        return Err(BadHeader::TooLong);
    }
    header.resize(FIXED_V2 + rest, 0);
    stream.read_exact(header.get_mut(FIXED_V2..).unwrap_or_default()).await?;
    Ok(())
}

/// It ends with its line: look at what is there, and take it as far as it belongs to the line.
async fn rest_of_v1(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), BadHeader> {
    let mut seen = [0; MAX_V1];
    while header.len() < MAX_V1 {
        let wanted = MAX_V1 - header.len();
        let length = stream.peek(seen.get_mut(..wanted).unwrap_or_default()).await?;
        let there = seen.get_mut(..length).unwrap_or_default();
        let end = there.iter().position(|byte| *byte == b'\n').map(|position| position + 1);
        let taken = there.get_mut(..end.unwrap_or(length)).unwrap_or_default();
        if taken.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        stream.read_exact(taken).await?;
        header.extend_from_slice(taken);
        if end.is_some() {
            return Ok(());
        }
    }
    Err(BadHeader::TooLong)
}

#[cfg(test)]
mod tests;
