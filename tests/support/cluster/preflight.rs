//! Checks that this machine can run the cluster, installs Debian packages that are missing, and names what else is.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tokio::process::Command;

use super::{
    Progress, build, command,
    image::CA_CERTIFICATES,
    network::{self, Owner},
    paths::Paths,
};

/// Debian packages, each with the programs and files that are needed of it.
const PACKAGES: &[(&str, &[&str])] = &[
    ("containerd", &["containerd", "containerd-shim-runc-v2", "ctr"]),
    ("runc", &["runc"]),
    ("containernetworking-plugins", &["ptp", "host-local", "loopback"]),
    ("nftables", &["nft"]),
    ("iproute2", &["ip"]),
    ("util-linux", &["nsenter", "setsid", "unshare"]),
    ("mount", &["mount", "umount"]),
    ("busybox-static", &["busybox"]),
    ("libc-bin", &["ldd"]),
    ("ca-certificates", &[CA_CERTIFICATES]),
];

/// Where Debian and others keep the network plugins.
const CNI_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The folder of the CNI plugins.
pub fn cni_plugins() -> &'static Path {
    let folders = CNI_FOLDERS.map(Path::new);
    folders
        .into_iter()
        .find(|folder| folder.join("ptp").exists())
        .unwrap_or_else(|| Path::new("/usr/lib/cni"))
}

/// Makes this machine ready or says, one line each, what is in the way. The result is the `go` program, where there is one.
pub async fn check(paths: &Paths, progress: Progress<'_>) -> Result<Option<PathBuf>> {
    let is_root = rustix::process::geteuid().is_root();
    let mut missing = missing_packages();
    if is_root && !missing.is_empty() && find("apt-get").is_some() {
        install(&missing, progress).await?;
        missing = missing_packages();
    }
    let mut problems = Vec::new();
    if !is_root {
        problems.push(
            "not root: the cluster's network namespace, mounts and control groups need it; use sudo, \
             or set KUBECONFIG to a cluster of your own"
                .to_owned(),
        );
    }
    problems.extend(
        missing
            .iter()
            .map(|package| format!("the Debian package {package} is missing: apt-get install {package}")),
    );
    let go = find("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|go| go.is_file()));
    problems.extend(go_problem(paths, go.as_deref()).await?);
    if is_root && missing.is_empty() {
        problems.extend(machine_problems(paths).await?);
    }
    if !problems.is_empty() {
        bail!("this machine can't run the test cluster yet:\n  {}", problems.join("\n  "));
    }
    Ok(go)
}

fn missing_packages() -> Vec<&'static str> {
    let is_plugin = |name: &str| CNI_FOLDERS.iter().any(|folder| Path::new(folder).join(name).is_file());
    missing_of(PACKAGES, |name| find(name).is_some() || is_plugin(name))
}

/// The packages of which something does not exist.
pub fn missing_of<'a>(packages: &[(&'a str, &[&str])], exists: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let incomplete = packages.iter().filter(|(_, names)| !names.iter().all(|name| exists(name)));
    incomplete.map(|(package, _)| *package).collect()
}

/// A program in the search path; an absolute path is itself.
pub fn find(name: &str) -> Option<PathBuf> {
    let folders =
        std::env::split_paths(&command::search_path()).map(|folder| folder.join(name)).collect::<Vec<_>>();
    folders.into_iter().find(|candidate| candidate.is_file())
}

/// Installs Debian packages; needs root.
pub async fn install(packages: &[&str], progress: Progress<'_>) -> Result<()> {
    progress(&format!("installing the Debian packages {}", packages.join(" ")));
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install: Vec<_> = ["install", "--no-install-recommends"].iter().chain(packages).copied().collect();
    if command::output_of(&mut apt_get(&install)).await.is_err() {
        // Its lists may be missing or old.
        command::output_of(&mut apt_get(&["update"])).await?;
        command::output_of(&mut apt_get(&install)).await?;
    }
    Ok(())
}

/// Go is needed only while there is something to build. From 1.21 on, it fetches a newer version of itself.
async fn go_problem(paths: &Paths, go: Option<&Path>) -> Result<Option<String>> {
    let mut unbuilt = Vec::new();
    for program in &build::ALL {
        if !program.is_built(paths)? {
            unbuilt.push(program.name);
        }
    }
    if unbuilt.is_empty() {
        return Ok(None);
    }
    let needed = format!("Go 1.26 or later builds {}: install it from https://go.dev/dl", unbuilt.join(", "));
    let Some(go) = go else {
        return Ok(Some(format!("Go is missing; {needed}")));
    };
    let mut version = Command::new(go);
    version.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local");
    let version = command::output_of(&mut version).await?;
    Ok((!is_recent(version.trim())).then(|| format!("{} is too old; {needed}", version.trim())))
}

fn is_recent(version: &str) -> bool {
    let Some(numbers) = version.strip_prefix("go") else {
        return true;
    }; // a development version
    let mut numbers = numbers.split(['.', '-', 'r', 'b']).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (1, 21)
}

/// What else of this machine is missing or taken. Ports can't be: all are the network namespace's.
async fn machine_problems(paths: &Paths) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if let Err(error) = command::run("unshare", &["--net", "--mount", "true"]).await {
        problems.push(format!(
            "no right to make network and mount namespaces (in a container: run it privileged): {error:#}"
        ));
    }
    if let Owner::Other(owner) = network::owner(paths) {
        problems.push(match owner {
            Some(state) => format!(
                "the network namespace tgwh belongs to the test cluster in {state}: stop that one first"
            ),
            None => {
                "the network namespace tgwh belongs to something else: remove it with `ip netns delete tgwh`"
                    .to_owned()
            }
        });
    }
    problems.extend(network::address_conflict().await?);
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_when_one_of_its_programs_is() {
        let packages: &[(&str, &[&str])] = &[("containerd", &["containerd", "ctr"]), ("runc", &["runc"])];
        assert_eq!(missing_of(packages, |_| true), Vec::<&str>::new());
        assert_eq!(missing_of(packages, |name| name != "ctr"), ["containerd"]);
        assert_eq!(missing_of(packages, |_| false), ["containerd", "runc"]);
    }

    #[test]
    fn go_is_recent_from_1_21_on() {
        assert!(!is_recent("go1.19.8"));
        assert!(is_recent("go1.21.0"));
        assert!(is_recent("go1.27rc1"));
        assert!(is_recent("devel +abcdef"));
    }

    #[test]
    fn a_program_is_found_and_an_absent_one_is_not() {
        assert!(find("sh").is_some());
        assert!(find("/etc/passwd").is_some(), "an absolute path is itself");
        assert_eq!(find("no-such-program"), None);
    }
}
