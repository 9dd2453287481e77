//! The namespaces of a cluster, each kept by a mount of it in the cluster's folder, so that they outlive the
//! command which made them and can be entered by anyone who knows the cluster's name.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::make_folder;
use crate::layout::Layout;

/// Makes the folder that holds the mounts.
pub(crate) fn make_holder(layout: &Layout) -> Result<()> {
    let holder = layout.namespaces();
    make_folder(&holder)?;
    // The kernel keeps a mount namespace only where other namespaces are not told about the mount.
    run(Command::new("mount").arg("--bind").args([&holder, &holder]))?;
    run(Command::new("mount").arg("--make-private").arg(&holder)).map(drop)
}

/// A command that makes a namespace of a kind (`net`, `mount`), keeps it, and then does its work in it.
pub(crate) fn make(layout: &Layout, kind: &str) -> Result<Command> {
    let keep = layout.namespaces().join(kind);
    fs::write(&keep, "").with_context(|| format!("cannot make {}", keep.display()))?;
    let mut command = Command::new("unshare");
    command.arg(format!("--{kind}={}", keep.display()));
    Ok(command)
}

/// A command that will run inside the network, and otherwise sees the machine as it is.
pub(crate) fn enter_network(layout: &Layout, program: &str) -> Command {
    // Not `ip netns exec`: it mounts /sys anew, where a kubelet then finds no control groups.
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", layout.network_namespace().display())).arg("--").arg(program);
    command
}

/// A command that will run on the node: in its network and in its mount namespace.
pub(crate) fn enter_node(layout: &Layout, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", layout.network_namespace().display()))
        .arg(format!("--mount={}", layout.mount_namespace().display()))
        .arg("--")
        .arg(program);
    command
}

/// Unmounts what is mounted in the cluster's folder, the namespaces among it. Nothing must run in them any
/// more.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the table of mounts")?;
    // The last mounted first, since it may lie in or over an earlier one.
    for mount in mounts_below(&table, &layout.dir()).iter().rev() {
        run(Command::new("umount").arg(mount))?;
    }
    Ok(())
}

/// The mount points in a folder, in the order of the table.
fn mounts_below(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    points.filter(|point| point.starts_with(folder)).collect()
}

/// The kernel writes white space and backslashes as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.extend(code);
        bytes.extend(part.bytes().skip(if code.is_some() { 3 } else { 0 }));
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mounts_of_the_folder_are_found() {
        let table = "36 25 254:0 /c/dev/ns /c/dev/ns rw - ext4 /dev/vda rw\n\
                     37 36 0:4 mnt:[1] /c/dev/ns/mount rw - nsfs nsfs rw\n\
                     38 25 254:0 /x /c/dev2 rw - ext4 /dev/vda rw\n\
                     39 25 254:0 /x /c/dev/a\\040b rw - ext4 /dev/vda rw\n";
        let found = mounts_below(table, Path::new("/c/dev"));
        assert_eq!(found, ["/c/dev/ns", "/c/dev/ns/mount", "/c/dev/a b"].map(PathBuf::from));
    }
}
