//! The header of the PROXY protocol: what is taken agrees with the specification read in another way, and no byte beyond the
//! header matters.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use telegram_webhook_sidecar::server::client_ip::proxy_protocol;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|bytes: &[u8]| {
    let Ok((client, length)) = proxy_protocol::parse(bytes) else {
        return;
    };
    assert!(length <= bytes.len());
    let header = &bytes[..length];
    let expected = if header.starts_with(V2) { version_2(header) } else { version_1(header) };
    assert_eq!(client, expected.map(|client| client.to_canonical()));
    assert_eq!(proxy_protocol::parse(header).ok(), Some((client, length)));
    for shorter in 0..length.min(64) {
        assert!(proxy_protocol::parse(&header[..shorter]).is_err(), "{shorter} of {length} bytes");
    }
});

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`
fn version_1(header: &[u8]) -> Option<IpAddr> {
    let line = header.strip_suffix(b"\r\n").expect("a whole line");
    assert!(!line.contains(&b'\r'));
    // whatever follows is to be ignored
    if line.starts_with(b"PROXY UNKNOWN") {
        return None;
    }
    let mut words = std::str::from_utf8(line).expect("text").split(' ');
    assert_eq!(words.next(), Some("PROXY"));
    let client = match words.next().expect("a protocol") {
        "TCP4" => IpAddr::V4(words.next().expect("a source").parse::<Ipv4Addr>().expect("an address")),
        "TCP6" => IpAddr::V6(words.next().expect("a source").parse::<Ipv6Addr>().expect("an address")),
        other => panic!("unknown protocol {other}"),
    };
    Some(client)
}

/// Version and command, family and protocol, length, addresses.
fn version_2(header: &[u8]) -> Option<IpAddr> {
    let (fixed, rest) = header.split_at(16);
    assert_eq!(usize::from(u16::from_be_bytes([fixed[14], fixed[15]])), rest.len());
    assert_eq!(fixed[12] >> 4, 2, "version");
    let octets = |length: usize| &rest[..length];
    match (fixed[12] & 0xf, fixed[13] >> 4) {
        (0, _) => None,
        (1, 1) => Some(IpAddr::from(<[u8; 4]>::try_from(octets(4)).expect("4 bytes"))),
        (1, 2) => Some(IpAddr::from(<[u8; 16]>::try_from(octets(16)).expect("16 bytes"))),
        (1, 0 | 3) => None,
        other => panic!("unknown command or family {other:?}"),
    }
}
