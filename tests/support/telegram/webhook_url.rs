//! The server's own parser of webhook URLs: more lenient than a browser's, and what it accepts is what it sends.

use std::net::Ipv6Addr;

/// A webhook's URL in parts.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Whether the scheme is https.
    pub https: bool,
    /// `user:password`, or nothing.
    pub userinfo: String,
    /// Host in lower case; an international name in its ASCII form.
    pub host: String,
    /// Port, given or the scheme's.
    pub port: u16,
    /// The request target: path, query and even the fragment.
    pub target: String,
}

impl WebhookUrl {
    /// Splits a URL; https when it names no scheme. `None` is `invalid webhook URL specified`.
    pub fn parse(url: &str) -> Option<Self> {
        let scheme_end = url.find([':', '/', '?', '#', '@', '[', ']']).unwrap_or(url.len());
        let (scheme, after_scheme) = url.split_at_checked(scheme_end)?;
        let (https, rest) = match after_scheme.strip_prefix("://") {
            Some(rest) => match scheme.to_ascii_lowercase().as_str() {
                "https" => (true, rest),
                "http" => (false, rest),
                _ => return None,
            },
            None => (true, url),
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(authority_end)?;
        let (userinfo, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = split_port(host_port)?;
        let host = host.to_lowercase();
        if !is_allowed_host(&host) {
            return None;
        }
        Some(Self {
            https,
            userinfo: userinfo.to_owned(),
            host: to_ascii(host),
            port: port.unwrap_or(if https { 443 } else { 80 }),
            target: request_target(target),
        })
    }

    /// `Host` of a request: with the port unless it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == if self.https { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn split_port(host_port: &str) -> Option<(&str, Option<u16>)> {
    let colon = host_port.rfind(':').filter(|colon| *colon > 0);
    let Some(colon) = colon.filter(|colon| host_port.rfind(']').is_none_or(|end| end < *colon)) else {
        return Some((host_port, None));
    };
    let (host, port) = host_port.split_at_checked(colon)?;
    let port = port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?;
    Some((host, Some(port)))
}

fn is_allowed_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let mut rest = host.chars();
    while let Some(character) = rest.next() {
        let allowed = match character {
            'a'..='z' | '0'..='9' => true,
            '%' => (0..2).all(|_| rest.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => !character.is_ascii() || ".-_!$,~*'();&+=".contains(character),
        };
        if !allowed {
            return false;
        }
    }
    !host.is_empty() && host != "."
}

fn to_ascii(host: String) -> String {
    if host.is_ascii() {
        return host;
    }
    match url::Host::parse(&host) {
        Ok(ascii) => ascii.to_string(),
        Err(_) => host,
    }
}

fn request_target(rest: &str) -> String {
    let rest = rest.trim_end_matches([' ', '\t', '\r', '\n', '\0', '\x0b']);
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let escaped = rest.chars().map(|character| {
        if character <= ' ' { format!("%{:02X}", u32::from(character)) } else { character.to_string() }
    });
    std::iter::once(slash.to_owned()).chain(escaped).collect()
}
