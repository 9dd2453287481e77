//! A kubelet that pods can't reach, while the API server can.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use local_cluster::Cluster;

use crate::target;

/// A table of packet filters of our own, so that all of it goes at once.
const TABLE: &str = "extendedjob-e2e";

/// While this lives the port of the kubelet refuses pods.
#[derive(Debug)]
pub struct ShutKubelet(Cluster);

impl ShutKubelet {
    /// Shuts it. Only on a cluster of this machine.
    pub fn shut() -> Result<Self> {
        let shut = Self(target::local_cluster()?.context("not a cluster of this machine")?);
        let hook = "{ type filter hook input priority -1; }";
        let rule = ["iif", "!=", "lo", "tcp", "dport", "10250", "reject"];
        shut.nft(&["add", "table", "inet", TABLE])?;
        shut.nft(&["add", "chain", "inet", TABLE, "input", hook])?;
        shut.nft(&[&["add", "rule", "inet", TABLE, "input"], &rule[..]].concat())?;
        Ok(shut)
    }

    fn nft(&self, args: &[&str]) -> Result<()> {
        let mut nft: Command = self.0.exec("nft");
        let output = nft.args(args).output().context("start nft")?;
        ensure!(
            output.status.success(),
            "nft {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for ShutKubelet {
    fn drop(&mut self) {
        if let Err(error) = self.nft(&["delete", "table", "inet", TABLE]) {
            eprintln!("the kubelet stays shut: {error:#}");
        }
    }
}
