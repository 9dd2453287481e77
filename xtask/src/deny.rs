//! What the project depends on: licences, sources, duplicates, by the rules in deny.toml.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cargo::cargo;
use crate::process;

/// The version that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Checks the dependencies with cargo-deny. Its fourth check, advisories, wants a database from the network;
/// `cargo deny check advisories` runs it where there is one.
pub(crate) fn check() -> Result<()> {
    let tool = tool()?;
    process::run(
        Command::new(tool).current_dir(process::project()).args(["check", "bans", "licenses", "sources"]),
    )
}

/// The cargo-deny of this machine, or one that is built under target/, which takes minutes once.
fn tool() -> Result<PathBuf> {
    let own = process::project().join("target/tools");
    let path = own.join("bin/cargo-deny");
    if path.exists() {
        return Ok(path);
    }
    if Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let mut install = cargo("install");
    install.args(["cargo-deny", "--version", VERSION, "--locked", "--root"]).arg(own);
    process::run(&mut install)?;
    Ok(path)
}
