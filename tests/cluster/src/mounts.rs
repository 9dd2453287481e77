//! The node's view of the file system: a mount namespace in which /run, /var/lib and /var/log are folders of
//! the cluster. Kubelets that share /var/log/pods remove each other's logs, and containerd, its shims, the
//! container network plugins and the kubelet's device manager have fixed places in the others. What is
//! mounted in there (images, volumes, pods' networks) is gone with the namespace.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::layout::Layout;

/// Makes the namespace and keeps it by a mount of it, as `ip netns` does with network namespaces.
pub(crate) fn make(layout: &Layout) -> Result<()> {
    let keep = layout.mount_namespace();
    let holder = layout.path("namespaces");
    let node = layout.path("node");
    // Its own folder must stay where it is below the new /var/lib.
    let inner_root = node.join("var-lib").join(name_of(Layout::root()));
    for folder in [&holder, &node.join("run"), &node.join("var-log"), &inner_root] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&keep, "").with_context(|| format!("cannot make {}", keep.display()))?;
    // The kernel refuses to keep a mount namespace by a mount that other namespaces are told about.
    run(Command::new("mount").arg("--bind").args([&holder, &holder]))?;
    run(Command::new("mount").arg("--make-private").arg(&holder))?;
    let script = "mount --bind \"$1\" \"$2/var-lib/${1##*/}\"
        mount --rbind \"$2/var-lib\" /var/lib
        mount --bind \"$2/var-log\" /var/log
        mount --bind \"$2/run\" /run";
    run(Command::new("unshare")
        .arg(format!("--mount={}", keep.display()))
        .args(["--propagation", "private", "sh", "-ec", script, "sh"])
        .args([Layout::root(), &node]))
    .context("cannot make the node's mount namespace")
    .map(drop)
}

/// A command that will run on the node: in its network and in its mount namespace.
pub(crate) fn enter(layout: &Layout, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", layout.network_namespace().display()))
        .arg(format!("--mount={}", layout.mount_namespace().display()))
        .arg("--")
        .arg(program);
    command
}

/// Unmounts what is mounted in the cluster's folder. Nothing must run in the namespace any more.
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

fn name_of(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
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
