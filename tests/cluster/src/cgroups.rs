//! The control groups below which the kubelet puts its pods: one folder of the cluster's own in each
//! hierarchy, be it the single one of version 2 or the many of version 1.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files::make_folder;
use crate::layout::Layout;

const MOUNT: &str = "/sys/fs/cgroup";

/// Makes the cluster's group in each hierarchy.
pub(crate) fn make(layout: &Layout) -> Result<()> {
    for hierarchy in hierarchies()? {
        share_controllers(&hierarchy)?;
        let group = hierarchy.join(layout.group());
        make_folder(&group)?;
        // In version 1 a new group may use no processor and no memory node until told.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(all) = fs::read_to_string(hierarchy.join(file)) {
                let path = group.join(file);
                fs::write(&path, all).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The processes in the cluster's groups: the pods', whatever namespaces they have.
pub(crate) fn processes(layout: &Layout) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for folder in folders(layout)? {
        // A group may go while one looks at it.
        let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(list.lines().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(pids)
}

/// Removes the groups. Nothing must run in them any more.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    // The innermost first.
    for folder in folders(layout)?.iter().rev() {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Version 2 gives a group only the controllers that its parent shares.
fn share_controllers(hierarchy: &Path) -> Result<()> {
    let Ok(controllers) = fs::read_to_string(hierarchy.join("cgroup.controllers")) else { return Ok(()) };
    let shared = hierarchy.join("cgroup.subtree_control");
    for controller in controllers.split_whitespace() {
        fs::write(&shared, format!("+{controller}"))
            .with_context(|| format!("cannot share {controller} in {}", shared.display()))?;
    }
    Ok(())
}

/// Each hierarchy's root.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return Ok(vec![mount.to_owned()]);
    }
    // Some have two names, one of them a link.
    Ok(subfolders(mount)?.into_iter().filter(|folder| folder.join("cgroup.procs").exists()).collect())
}

/// All groups of the cluster in all hierarchies, an outer one before those in it.
fn folders(layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = hierarchies()?
        .into_iter()
        .map(|root| root.join(layout.group()))
        .filter(|group| group.exists())
        .collect();
    let mut next = 0;
    while let Some(folder) = found.get(next) {
        let inner = subfolders(folder).unwrap_or_default();
        found.extend(inner);
        next += 1;
    }
    Ok(found)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}
