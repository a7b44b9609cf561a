//! The control group below which the kubelet puts every pod: all processes in it are the cluster's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{paths::NAME, process::Identity};

const ROOT: &str = "/sys/fs/cgroup";

/// The top of each hierarchy: one with version 2, one per controller with version 1.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    // cpu and cpuacct may be links to one hierarchy.
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists() && !path.is_symlink())
        .collect()
}

/// Makes the group in each hierarchy.
pub fn create() -> Result<()> {
    for hierarchy in hierarchies() {
        delegate_controllers(&hierarchy);
        let group = hierarchy.join(NAME);
        fs::create_dir_all(&group).with_context(|| {
            format!("the control group {} can't be made: the test cluster needs a machine or a container that may", group.display())
        })?;
    }
    Ok(())
}

/// With version 2 a group has only the controllers that its parent hands down. The kubelet says which one it misses.
fn delegate_controllers(hierarchy: &Path) {
    let available = fs::read_to_string(hierarchy.join("cgroup.controllers")).unwrap_or_default();
    for controller in available.split_whitespace() {
        fs::write(hierarchy.join("cgroup.subtree_control"), format!("+{controller}")).ok();
    }
}

/// Every process in the group or below.
pub fn processes() -> Vec<Identity> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        for group in tree(&hierarchy.join(NAME)) {
            let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            let identities = pids.lines().filter_map(|pid| Identity::of(pid.parse().ok()?));
            found.extend(identities);
        }
    }
    found
}

/// Removes the group; the error names one that still has a process in it.
pub fn remove() -> Result<()> {
    for hierarchy in hierarchies() {
        for group in tree(&hierarchy.join(NAME)) {
            fs::remove_dir(&group)
                .with_context(|| format!("the control group {} can't be removed", group.display()))?;
        }
    }
    Ok(())
}

/// `group` and all below it, children first.
fn tree(group: &Path) -> Vec<PathBuf> {
    if !group.is_dir() {
        return Vec::new();
    }
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let children = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut groups: Vec<_> = children.flat_map(|child| tree(&child.path())).collect();
    groups.push(group.to_owned());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_before_their_parent() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join(NAME);
        fs::create_dir_all(group.join("kubepods/pod1")).unwrap();
        fs::write(group.join("cgroup.procs"), "").unwrap();
        assert_eq!(tree(&group), [group.join("kubepods/pod1"), group.join("kubepods"), group]);
        assert_eq!(tree(&folder.path().join("none")), Vec::<PathBuf>::new());
    }
}
