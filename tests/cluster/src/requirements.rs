//! Whether this machine can run a cluster at all, said before anything is done to it.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Fails with all that is missing, and with the other way to get a cluster.
pub(crate) fn check() -> Result<()> {
    let mut missing = Vec::new();
    if !cfg!(target_os = "linux") {
        missing.push("Linux (a kubelet runs on nothing else)");
    } else if !rustix::process::geteuid().is_root() {
        missing.push("root (namespaces, mounts and control groups need it; try sudo)");
    }
    if !answers("go", "version") {
        missing
            .push("Go 1.26 or a later one in PATH, from https://go.dev/dl (Kubernetes is built from source)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "a local cluster cannot run here; missing:\n  - {}\n\
         Instead, use any cluster you have: give the other commands `--context NAME`, a context of your kubeconfig.",
        missing.join("\n  - ")
    )
}

fn answers(program: &str, argument: &str) -> bool {
    let quiet = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
