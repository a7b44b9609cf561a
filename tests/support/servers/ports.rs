//! Ports for servers that are killed and started again at the same place.

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

/// Below those that clients get (`net.ipv4.ip_local_port_range`). While a server is down its port would sooner or later be that of some
/// client, or of the one that tries to reach the server, which is connected to itself then; and the server couldn't start again.
const SERVERS: Range<u16> = 15_000..30_000;
/// Far more than are ever taken in a row.
const TRIES: usize = 1000;

/// Ports at which nobody listened just now.
pub fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    // all at once, so that they differ
    let listeners = (0..N).map(|_| listen()).collect::<anyhow::Result<Vec<_>>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn listen() -> anyhow::Result<TcpListener> {
    let ports = u32::from(SERVERS.end - SERVERS.start);
    for _ in 0..TRIES {
        let port = SERVERS.start + u16::try_from(getrandom::u32()? % ports)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    anyhow::bail!("no port is free from {} to {}", SERVERS.start, SERVERS.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_no_clients() {
        let ports: [u16; 40] = free().unwrap();
        let different: std::collections::BTreeSet<_> = ports.into_iter().collect();
        assert_eq!(different.len(), 40);
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(ports.iter().all(|port| *port < first), "{ports:?} {first}");
    }
}
