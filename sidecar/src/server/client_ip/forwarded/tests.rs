use http::HeaderValue;
use ipnet::IpNet;

use super::*;

const SOCKET: &str = "10.0.0.1";

fn found(lines: &[&str]) -> String {
    let trusted: Networks =
        ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse::<IpNet>().unwrap()).into_iter().collect();
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    client(&trusted, SOCKET.parse().unwrap(), &headers).to_string()
}

#[test]
fn the_client_is_the_right_most_hop_that_is_no_trusted_proxy() {
    for (lines, client) in [
        (&[][..], SOCKET),
        (&["192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (&["149.154.167.200, 192.0.2.1"], "192.0.2.1"),
        (&["149.154.167.200,192.0.2.1 ,10.0.0.3,\t10.0.0.2"], "192.0.2.1"),
        (&["149.154.167.200", "192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1", "10.0.0.3, 10.0.0.2"], "192.0.2.1"),
        // nobody but proxies: the farthest
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&["192.0.2.1, fd00::1"], "192.0.2.1"),
    ] {
        assert_eq!(found(lines), client, "{lines:?}");
    }
}

#[test]
fn a_hop_that_can_not_be_read_ends_the_list_at_the_last_proxy_that_was_named() {
    for unreadable in [
        "",
        " ",
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.1:x",
        "192.0.2.1:65536",
        "[::1",
        "[2001:db8::1]x",
        "for=192.0.2.1",
        "192.0.2.1%eth0",
        "\u{e9}",
        "192.0.2.1 192.0.2.2",
    ] {
        assert_eq!(found(&[unreadable]), SOCKET, "{unreadable}");
        let line = format!("149.154.167.200, {unreadable}, 10.0.0.3, 10.0.0.2");
        assert_eq!(found(&[&line]), "10.0.0.3", "{unreadable}");
    }
    assert_eq!(found(&["149.154.167.200", ""]), SOCKET);
}

#[test]
fn a_hop_is_read_however_proxies_write_it() {
    for (hop, client) in [
        ("192.0.2.1:65535", "192.0.2.1"),
        ("\"192.0.2.1\"", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8::1%eth0", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("\"[2001:db8::1%25eth0]:443\"", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
    ] {
        assert_eq!(found(&[hop]), client, "{hop}");
    }
    assert_eq!(found(&["192.0.2.1, ::ffff:10.0.0.2"]), "192.0.2.1", "a mapped proxy is a proxy");
}
