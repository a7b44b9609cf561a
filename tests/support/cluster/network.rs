//! The node's network: a network namespace of its own and one link to this machine, so that no address, route or firewall
//! rule of the machine changes. The link's alias names the state folder it belongs to.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Result;

use super::{
    command::run,
    paths::{NAME, Paths, text},
    process::boot_id,
};

/// The node's network namespace.
pub const NETWORK_NAMESPACE: &str = "/run/netns/tgwh";
/// This machine's end of the link; its other end is the node's `eth0`.
const LINK: &str = "tgwh-host";
/// This machine, seen from the node and its pods.
pub const MACHINE_ADDRESS: &str = "10.231.0.1";
/// The node, seen from this machine.
pub const NODE_ADDRESS: &str = "10.231.0.2";
const LINK_RANGE: &str = "10.231.0.0/30";
/// The pods' addresses.
pub const POD_RANGE: &str = "10.244.0.0/24";

/// Whose the network namespace is.
#[derive(Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is none.
    Nobody,
    /// This state folder's cluster, or one of another checkout that has died: ours to remove.
    Us,
    /// Another cluster: its state folder, where known.
    Other(Option<String>),
}

/// Whose network namespace is there now.
pub fn owner(paths: &Paths) -> Owner {
    let alias = fs::read_to_string(format!("/sys/class/net/{LINK}/ifalias")).ok();
    let made_here =
        fs::read_to_string(marker(paths)).is_ok_and(|boot| boot_id().is_ok_and(|now| now == boot));
    match owner_by(
        alias.as_deref().map(str::trim),
        Path::new(NETWORK_NAMESPACE).exists(),
        made_here,
        &paths.state,
    ) {
        // what another checkout's cluster left behind when it died: that checkout may be gone too
        Owner::Other(Some(_)) if !is_inhabited() => Owner::Us,
        owner => owner,
    }
}

/// Whether any process lives in the namespace, as all of a running cluster do.
fn is_inhabited() -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|namespace| (namespace.dev(), namespace.ino())).ok();
    let Some(ours) = identity(Path::new(NETWORK_NAMESPACE)) else { return false };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| identity(&process.path().join("ns/net")) == Some(ours))
}

fn owner_by(alias: Option<&str>, namespace_exists: bool, made_here: bool, state: &Path) -> Owner {
    match alias {
        Some(alias) if Path::new(alias) == state => Owner::Us,
        Some("") | None if made_here => Owner::Us,
        Some("") => Owner::Other(None),
        Some(alias) => Owner::Other(Some(alias.to_owned())),
        None if namespace_exists => Owner::Other(None),
        None => Owner::Nobody,
    }
}

/// Says that this boot's namespace is ours from before it exists, for a run that dies before the link has its alias.
fn marker(paths: &Paths) -> std::path::PathBuf {
    paths.state.join("network")
}

/// An interface of this machine that has an address of the link's range.
pub async fn address_conflict() -> Result<Option<String>> {
    let addresses = run("ip", &["-o", "-4", "address", "show", "to", LINK_RANGE]).await?;
    let taken = addresses.split_whitespace().nth(1).filter(|interface| *interface != LINK);
    Ok(taken.map(|interface| {
        format!("the interface {interface} has an address of {LINK_RANGE}, which the test cluster needs: remove it")
    }))
}

/// Makes the namespace and the link.
pub async fn create(paths: &Paths) -> Result<()> {
    fs::write(marker(paths), boot_id()?)?;
    run("ip", &["netns", "add", NAME]).await?;
    run("ip", &["link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAME]).await?;
    run("ip", &["link", "set", LINK, "alias", text(&paths.state)?]).await?;
    run("ip", &["address", "add", &format!("{MACHINE_ADDRESS}/30"), "dev", LINK]).await?;
    run("ip", &["link", "set", LINK, "up"]).await?;
    run("ip", &["-n", NAME, "address", "add", &format!("{NODE_ADDRESS}/30"), "dev", "eth0"]).await?;
    run("ip", &["-n", NAME, "link", "set", "eth0", "up"]).await?;
    run("ip", &["-n", NAME, "link", "set", "lo", "up"]).await?;
    run("ip", &["-n", NAME, "route", "add", "default", "via", MACHINE_ADDRESS]).await?;
    in_namespace(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]).await?;
    // What leaves for this machine comes from the node's address: the machine has no route to the pods.
    let masquerade = format!(
        "table ip {NAME} {{ chain leaving {{ type nat hook postrouting priority srcnat; \
         ip saddr {POD_RANGE} oifname eth0 masquerade; }}; }}"
    );
    in_namespace(&["nft", &masquerade]).await
}

async fn in_namespace(command: &[&str]) -> Result<()> {
    let namespace = format!("--net={NETWORK_NAMESPACE}");
    let arguments: Vec<_> = std::iter::once(namespace.as_str()).chain(command.iter().copied()).collect();
    run("nsenter", &arguments).await?;
    Ok(())
}

/// Removes the link and the namespace, whichever is there. Only for our own: see [`owner`].
pub async fn remove() -> Result<()> {
    if Path::new("/sys/class/net").join(LINK).exists() {
        run("ip", &["link", "delete", LINK]).await?;
    }
    if Path::new(NETWORK_NAMESPACE).exists() {
        run("ip", &["netns", "delete", NAME]).await?;
    }
    // `ip netns` makes its folder a mount; with the last namespace it has no more use.
    let folder = Path::new(NETWORK_NAMESPACE).parent().unwrap_or_else(|| Path::new("/run/netns"));
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        run("umount", &[text(folder)?]).await.ok();
        fs::remove_dir(folder).ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_ours_by_its_alias_or_by_our_marker_of_this_boot() {
        let state = Path::new("/target/cluster/state");
        let owner = |alias, exists, made_here| owner_by(alias, exists, made_here, state);
        assert_eq!(owner(Some("/target/cluster/state"), true, false), Owner::Us);
        assert_eq!(owner(None, true, true), Owner::Us, "a run that died half-way");
        assert_eq!(owner(Some("/other/state"), true, true), Owner::Other(Some("/other/state".into())));
        assert_eq!(owner(None, true, false), Owner::Other(None));
        assert_eq!(owner(None, false, false), Owner::Nobody);
    }
}
