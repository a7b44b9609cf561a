//! `X-Forwarded-For`: each proxy adds the address that it was called from at the right end. Read from there, the list is true as far
//! as it was written by trusted proxies, and the first address that is not one of theirs is the client's. What is to the left of
//! it was written by the client, or by whoever it chose to believe.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use crate::address::Networks;

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request that came from the trusted proxy `socket`. Where the list ends, or can't be read any further, before it
/// names one, that is the last proxy that could be named.
pub(super) fn client(trusted: &Networks, socket: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut nearest = socket;
    // several lines are one list
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
            match read(hop) {
                Some(hop) if trusted.contains(hop) => nearest = hop,
                Some(hop) => return hop,
                None => return nearest,
            }
        }
    }
    nearest
}

/// The address of a hop, which some proxies write with a port, in brackets, in quotes, or with an IPv6 zone.
fn read(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => match text.find(':') {
            // a second colon makes it IPv6
            Some(colon) if text.rfind(':') == Some(colon) => text.split_at_checked(colon)?,
            _ => (text, ""),
        },
    };
    if !port.is_empty() {
        port.strip_prefix(':')?.parse::<u16>().ok()?;
    }
    let address = match host.split_once('%') {
        Some((address, _zone)) => IpAddr::V6(address.parse().ok()?),
        None => host.parse().ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
