use std::net::Ipv4Addr;

use proptest::prelude::*;
use proxy_header::ProxiedAddress;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, time::Instant};

use super::*;

fn encoded_v2(client: &str, datagram: bool) -> Vec<u8> {
    let [client, server] = [client, if client.contains('[') { "[::1]:443" } else { "10.0.0.1:443" }];
    let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
    let proxied = if datagram {
        ProxiedAddress::datagram(client, server)
    } else {
        ProxiedAddress::stream(client, server)
    };
    let mut bytes = Vec::new();
    ProxyHeader::with_address(proxied).encode_v2(&mut bytes).unwrap();
    bytes
}

/// Headers, and the client that each names.
fn whole_headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let with_attributes = {
        let mut bytes = encoded_v2("192.0.2.1:1", false);
        bytes.resize(FIXED_V2 + MAX_REST_V2, 0xff);
        bytes[14..16].copy_from_slice(&u16::try_from(MAX_REST_V2).unwrap().to_be_bytes());
        bytes
    };
    let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), MAX_V1);
    vec![
        (b"PROXY TCP4 149.154.167.200 10.0.0.1 4000 443\r\n".to_vec(), Some("149.154.167.200")),
        (b"PROXY TCP6 2001:db8::1 ::1 4000 443\r\n".to_vec(), Some("2001:db8::1")),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4000 443\r\n".to_vec(), Some("192.0.2.1")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (longest.as_bytes().to_vec(), None),
        (encoded_v2("149.154.167.200:4000", false), Some("149.154.167.200")),
        (encoded_v2("[2001:db8::1]:4000", false), Some("2001:db8::1")),
        (encoded_v2("[::ffff:192.0.2.1]:4000", false), Some("192.0.2.1")),
        (with_attributes, Some("192.0.2.1")),
        ([&SIGNATURE_V2[..], &[0x20, 0, 0, 0]].concat(), None),
        ([&SIGNATURE_V2[..], &[0x21, 0, 0, 2, 1, 1]].concat(), None),
    ]
}

/// The end that a proxy has sent these parts to, each after the former was acknowledged.
async fn after(parts: &[&[u8]]) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    theirs.set_nodelay(true).unwrap();
    for part in parts {
        theirs.write_all(part).await.unwrap();
    }
    (listener.accept().await.unwrap().0, theirs)
}

#[tokio::test]
async fn a_header_is_taken_and_not_a_byte_more() {
    for (header, client) in whole_headers() {
        let (mut ours, mut theirs) = after(&[&header, b"\x16\x03"]).await;
        let read = read(&mut ours).await.unwrap();
        assert_eq!(read.map(|client| client.to_string()).as_deref(), client, "{header:?}");
        theirs.shutdown().await.unwrap();
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"\x16\x03", "{header:?}");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    for (header, client) in whole_headers() {
        let (mut ours, mut theirs) = after(&[]).await;
        let read = tokio::spawn(async move { read(&mut ours).await.unwrap() });
        for byte in header {
            theirs.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(read.await.unwrap().map(|client| client.to_string()).as_deref(), client);
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused_without_waiting_for_more() {
    let too_long_v1 = format!("PROXY UNKNOWN {}", "x".repeat(MAX_V1));
    let mut too_long_v2 = SIGNATURE_V2.to_vec();
    too_long_v2.extend([0x21, 0x11, 2, 9]);
    let mut too_short_v2 = SIGNATURE_V2.to_vec();
    too_short_v2.extend([0x21, 0x11, 0, 2, 1, 1]);
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXYXTCP4 192.0.2.1 10.0.0.1 4000 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4000\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4000 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4000 443\n",
        b"PROXY UDP4 192.0.2.1 10.0.0.1 4000 443\r\n",
        b"PROXY UNKNOWN\rx\n",
        too_long_v1.as_bytes(),
        &too_long_v2,
        &too_short_v2,
        &encoded_v2("192.0.2.1:1", true),
        &[&SIGNATURE_V2[..], &[0x11, 0x11, 0, 0]].concat(),
    ] {
        let (mut ours, _theirs) = after(&[bytes]).await;
        let refused = read(&mut ours).await.unwrap_err();
        assert!(!matches!(refused, BadHeader::Timeout(_) | BadHeader::Io(_)), "{bytes:?}: {refused}");
    }
}

#[tokio::test]
async fn a_header_that_ends_early_is_refused() {
    for (header, _) in whole_headers() {
        let (mut ours, theirs) = after(&[&header[..header.len() - 1]]).await;
        drop(theirs);
        assert!(matches!(read(&mut ours).await, Err(BadHeader::Io(_))), "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_is_waited_for_only_so_long() {
    for begun in [&b""[..], b"PROXY TCP4 192.0.2.1", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        let (mut ours, _theirs) = after(&[begun]).await;
        let started = Instant::now();
        assert!(matches!(read(&mut ours).await, Err(BadHeader::Timeout(_))));
        assert_eq!(started.elapsed().as_secs(), DEADLINE.as_secs());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic_or_read_beyond_them(bytes: Vec<u8>, version in 0..3) {
        let prefix: &[u8] = match version { 0 => b"", 1 => PREFIX_V1, _ => SIGNATURE_V2 };
        let bytes = [prefix, &bytes].concat();
        if let Ok((_, length)) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }
}
