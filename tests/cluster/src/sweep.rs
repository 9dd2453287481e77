//! Removes a cluster wholly: after `down`, or what a killed command left. It relies on no memory of what was
//! started: a process is the cluster's if a pid file says so, if it is in one of the cluster's namespaces, or
//! in its control groups. That finds the shims and pods of a containerd that is gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::files::remove_folder;
use crate::layout::Layout;
use crate::process::{self, Process};
use crate::{cgroups, namespaces};

/// Ends all processes of the cluster and removes all it has in the kernel and on disk. What is already
/// gone is no fault.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    // A process may start another while one looks: the kubelet and containerd do. Once none is found,
    // none is left to start one.
    for _ in 0..100 {
        let members = members(layout)?;
        if members.is_empty() {
            break;
        }
        process::kill(&Vec::from_iter(members))?;
    }
    ensure!(members(layout)?.is_empty(), "processes of the cluster {} keep coming back", layout.name());
    namespaces::remove(layout)?;
    cgroups::remove(layout)?;
    remove_folder(&layout.dir())
}

/// All processes of the cluster that run.
fn members(layout: &Layout) -> Result<BTreeSet<Process>> {
    let mut members = BTreeSet::from_iter(recorded(layout));
    members.extend(cgroups::processes(layout)?.into_iter().filter_map(Process::find));
    let namespaces =
        [("net", layout.network_namespace()), ("mnt", layout.mount_namespace())].map(|(kind, kept)| {
            let identity = identity(&kept);
            (kind, identity)
        });
    for pid in all_pids()? {
        let is_in = |(kind, kept): &(&str, Option<(u64, u64)>)| {
            kept.is_some() && identity(Path::new(&format!("/proc/{pid}/ns/{kind}"))) == *kept
        };
        if namespaces.iter().any(is_in) {
            members.extend(Process::find(pid));
        }
    }
    ensure!(
        !members.iter().any(|member| member.pid().unsigned_abs() == std::process::id()),
        "this command runs inside the cluster {}, and would end itself: leave its network first",
        layout.name()
    );
    Ok(members)
}

/// The processes of the pid files, of those that are still the same.
fn recorded(layout: &Layout) -> Vec<Process> {
    let files = fs::read_dir(layout.path("run")).into_iter().flatten().flatten();
    let pid_files = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "pid"));
    pid_files.filter_map(|path| Process::read(&path)).filter(Process::is_alive).collect()
}

fn all_pids() -> Result<Vec<i32>> {
    let processes = fs::read_dir("/proc").context("cannot list the processes")?;
    Ok(processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// What makes a namespace the same, whether it is found by a process in it or by the file that keeps it.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
