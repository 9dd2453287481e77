//! The node's view of the file system: a mount namespace in which /run, /var/lib and /var/log are folders of
//! the cluster. Kubelets that share /var/log/pods remove each other's logs, and containerd, its shims, the
//! container network plugins and the kubelet's device manager have fixed places in the others. What is
//! mounted in there (images, volumes, pods' networks) is gone with the namespace.

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::make_folder;
use crate::layout::Layout;
use crate::namespaces;

/// The cluster's own folder stays where it is, below the new /var/lib.
const SCRIPT: &str = r#"
root=$1 node=$2
mount --bind "$root" "$node/var-lib/${root##*/}"
mount --rbind "$node/var-lib" /var/lib
mount --bind "$node/var-log" /var/log
mount --bind "$node/run" /run
"#;

/// Makes the namespace and fills it.
pub(crate) fn make(layout: &Layout) -> Result<()> {
    let (root, node) = (Layout::root(), layout.path("node"));
    let inner_root = node.join("var-lib").join(root.file_name().unwrap_or_default());
    for folder in [node.join("run"), node.join("var-log"), inner_root] {
        make_folder(&folder)?;
    }
    let mut command = namespaces::make(layout, "mount")?;
    command.args(["--propagation", "private", "sh", "-ec", SCRIPT, "sh"]).args([root, &node]);
    run(&mut command).context("cannot make the node's mount namespace").map(drop)
}
