//! Keeps this machine as it was, where no setting of a component does.
//!
//! Some folders are fixed in the components' code. containerd, the kubelet and all that they start run in a mount namespace
//! in which these are folders of the state; a kubelet of the machine's own is not disturbed, and every mount ends with the
//! last process. The kubelet also sets some of the kernel's parameters; they are put back.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::paths::{Paths, text};

/// The folders that the node has to itself.
const FOLDERS: [&str; 5] = [
    "/run/containerd",         // sockets of the shims
    "/usr/libexec/kubernetes", // plugins of the kubelet
    "/var/lib/cni",            // results of the network plugins
    "/var/lib/kubelet",        // sockets of device plugins
    "/var/log/containers",     // links to the pods' logs
];

/// The kernel's parameters that a kubelet sets.
const PARAMETERS: [&str; 6] = [
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
];

/// Binds folders (pairs of source and target up to `--`) and becomes the program that follows. Mounts are shared within the
/// namespace, as pods may ask for.
const ISOLATE: &str = r#"set -e
mount --make-rshared /
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@""#;

/// How the machine was before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Before {
    /// Folders that were not there; a folder comes before what is in it.
    absent: Vec<PathBuf>,
    parameters: Vec<(PathBuf, String)>,
}

/// Notes how the machine is, for [`restore`], and makes the folders that the namespace needs.
pub fn prepare(paths: &Paths) -> Result<()> {
    let mut before = Before::default();
    for folder in FOLDERS.map(PathBuf::from) {
        let missing: Vec<_> =
            folder.ancestors().take_while(|path| !path.exists()).map(PathBuf::from).collect();
        before.absent.extend(missing.into_iter().rev());
    }
    for parameter in PARAMETERS.map(PathBuf::from) {
        if let Ok(value) = fs::read_to_string(&parameter) {
            before.parameters.push((parameter, value));
        }
    }
    fs::write(record(paths), serde_json::to_vec(&before)?)?;
    for folder in FOLDERS {
        fs::create_dir_all(folder).with_context(|| format!("{folder} can't be made"))?;
        fs::create_dir_all(substitute(paths, folder))?;
    }
    Ok(())
}

/// Puts back what [`prepare`] noted.
pub fn restore(paths: &Paths) {
    let record = fs::read(record(paths)).unwrap_or_default();
    let before: Before = serde_json::from_slice(&record).unwrap_or_default();
    for folder in before.absent.iter().rev() {
        // One that is no longer empty has become somebody else's.
        fs::remove_dir(folder).ok();
    }
    for (parameter, value) in before.parameters {
        if fs::read_to_string(&parameter).is_ok_and(|now| now != value) {
            // Without the right to write it, the kubelet could not have changed it either.
            fs::write(parameter, value).ok();
        }
    }
}

fn record(paths: &Paths) -> PathBuf {
    paths.state.join("machine.json")
}

/// The folder of the state that the node sees as `folder`.
fn substitute(paths: &Paths, folder: &str) -> PathBuf {
    paths.state.join("outside").join(folder.trim_start_matches('/').replace('/', "-"))
}

/// The words before a program that make it run in a new mount namespace with the node's folders.
pub fn isolated(paths: &Paths) -> Result<Vec<String>> {
    let mut words = ["unshare", "--mount", "sh", "-c", ISOLATE, "sh"].map(str::to_owned).to_vec();
    for folder in FOLDERS {
        words.extend([text(&substitute(paths, folder))?.to_owned(), folder.to_owned()]);
    }
    words.push("--".to_owned());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_were_absent_and_are_empty_again_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { state: folder.path().join("state"), ..Paths::new().unwrap() };
        let [made, inner, used, kept] =
            ["made", "made/inner", "used", "kept"].map(|name| folder.path().join(name));
        for path in [&paths.state, &inner, &used, &kept] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(used.join("file"), "of somebody else").unwrap();
        let parameter = folder.path().join("parameter");
        fs::write(&parameter, "1\n").unwrap();
        let before = Before {
            absent: vec![made.clone(), inner, used.clone()],
            parameters: vec![(parameter.clone(), "0\n".into())],
        };
        fs::write(record(&paths), serde_json::to_vec(&before).unwrap()).unwrap();
        restore(&paths);
        assert!(!made.exists());
        assert!(used.exists() && kept.exists());
        assert_eq!(fs::read_to_string(&parameter).unwrap(), "0\n");
    }

    #[test]
    fn without_a_record_nothing_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        restore(&Paths { state: folder.path().join("state"), ..Paths::new().unwrap() });
    }
}
