//! The cluster's network: a namespace of its own, in which all components and pods are. Nothing of it is
//! seen on the machine, several clusters use the same addresses side by side, and nothing has a way out.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::layout::Layout;

pub(crate) const NODE: &str = "node1";
pub(crate) const NODE_IP: &str = "10.100.0.1";
pub(crate) const API_ADDRESS: &str = "https://10.100.0.1:6443";
pub(crate) const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// The API server's own service.
pub(crate) const SERVICE_IP: &str = "10.96.0.1";
/// Wide enough for the kubelet's `maxPods` and as many that have just ended.
pub(crate) const POD_SUBNET: &str = "10.244.0.0/22";
/// The cluster's registry, as seen from inside.
pub(crate) const REGISTRY: &str = "127.0.0.1:5000";

/// Makes the namespace with the node's address in it.
pub(crate) fn make(layout: &Layout) -> Result<()> {
    let name = layout.group();
    run(Command::new("ip").args(["netns", "add", &name]))?;
    // A bridge without members stands for the network card: not every kernel has the device type "dummy".
    let steps: &[&[&str]] = &[
        &["link", "set", "lo", "up"],
        &["link", "add", "eth0", "type", "bridge"],
        &["address", "add", &format!("{NODE_IP}/24"), "dev", "eth0"],
        &["link", "set", "eth0", "up"],
        // Components look for the default route to learn the node's address.
        &["route", "add", "default", "dev", "eth0"],
    ];
    for step in steps {
        run(Command::new("ip").args(["-netns", &name]).args(*step))
            .with_context(|| format!("cannot set up the network {name}"))?;
    }
    run(enter(layout, "sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))
        .context("cannot let the node forward the packets of its pods")
        .map(drop)
}

/// A command that will run inside the network, and otherwise sees the machine as it is.
pub(crate) fn enter(layout: &Layout, program: &str) -> Command {
    // Not `ip netns exec`: it mounts /sys anew, where a kubelet then finds no control groups.
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", layout.network_namespace().display())).arg("--").arg(program);
    command
}

/// Removes the namespace. Nothing must run in it any more.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    if fs::symlink_metadata(layout.network_namespace()).is_err() {
        return Ok(());
    }
    run(Command::new("ip").args(["netns", "delete", &layout.group()])).map(drop)
}
