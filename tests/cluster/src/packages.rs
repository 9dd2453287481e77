//! The Debian packages a node is made of, installed when something of them is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::run;
use crate::progress::Progress;

/// What must be there (a program in PATH, or a file), and the package that brings it. A machine that has
/// it from elsewhere is left alone.
const NEEDS: &[(&str, &str)] = &[
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("socat", "socat"),
    ("curl", "curl"),
    ("buildah", "buildah"),
    ("docker-registry", "docker-registry"),
    ("busybox", "busybox-static"),
    // For operators that go by another clock than the machine's.
    ("faketime", "faketime"),
    // Without it perl 5.36 fails at `perl -Mbignum=bpi`, with which many examples of Jobs compute pi.
    ("/usr/share/perl5/Math/BigInt.pm", "libmath-bigint-perl"),
];

/// Installs what is missing, and touches nothing when all is there.
pub(crate) fn install_missing(progress: &Progress) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !in_path("apt-get") {
        bail!("missing here, and there is no apt-get to install them with: {}", missing.join(", "));
    }
    progress.step(format!("installing {}", missing.join(", ")));
    apt_get(&["update"]).context("cannot update the list of packages")?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install, missing.as_slice()].concat()).context("cannot install packages")
}

fn missing() -> Vec<&'static str> {
    let absent = NEEDS.iter().filter(|(need, _)| !in_path(need));
    let mut packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// Whether a program is in PATH. An absolute path stands for itself.
fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).exists())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    // Another apt-get, be it that of a command killed before, is waited for.
    let patience = ["-o", "DPkg::Lock::Timeout=300"];
    run(Command::new("apt-get").args(patience).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_files_by_path() {
        assert!(in_path("sh"));
        assert!(in_path("/proc/self/stat"));
        assert!(!in_path("no-such-program"));
        assert!(!in_path("/no/such/file"));
    }
}
