//! The alert rules in deploy/monitoring: whether Prometheus understands them, and whether they fire when they should.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Checks the rules, and runs their tests.
pub(crate) fn check() -> Result<()> {
    let (tool, folder) = (tool()?, process::project().join("deploy/monitoring"));
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "rules-test.yaml"]] {
        process::run(Command::new(&tool).current_dir(&folder).args(arguments))?;
    }
    Ok(())
}

/// The promtool of this machine, or that of Debian's package, unpacked once into the cache: to install the package would
/// start a Prometheus.
fn tool() -> Result<PathBuf> {
    let own = local_cluster::cache()?.join("prometheus");
    let path = own.join("usr/bin/promtool");
    if path.exists() {
        return Ok(path);
    }
    if Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(PathBuf::from("promtool"));
    }
    eprintln!("fetching promtool, of Debian's package prometheus (20 MB)");
    let download = own.with_extension("download");
    fs::create_dir_all(&download).with_context(|| format!("make {}", download.display()))?;
    let apt_get = |arguments: &[&str]| {
        process::run(Command::new("apt-get").current_dir(&download).arg("--quiet").args(arguments))
    };
    apt_get(&["update"])?;
    apt_get(&["download", "prometheus"])?;
    let package = fs::read_dir(&download)?.find_map(|entry| {
        let path = entry.ok()?.path();
        (path.extension()? == "deb").then_some(path)
    });
    let package = package.context("apt-get has brought no package")?;
    // Whole or not at all: another try begins anew.
    let unpacked = own.with_extension("unpacked");
    process::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked))?;
    fs::rename(&unpacked, &own).with_context(|| format!("make {}", own.display()))?;
    fs::remove_dir_all(&download).with_context(|| format!("remove {}", download.display()))?;
    Ok(path)
}
