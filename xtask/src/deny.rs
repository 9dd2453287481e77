//! What the project depends on: licences, sources, duplicates, by the rules in deny.toml.

use anyhow::Result;

use crate::process;
use crate::tools::Tool;

const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", options: &[] };

/// Checks the dependencies with cargo-deny. Its fourth check, advisories, wants a database from the network;
/// `cargo deny check advisories` runs it where there is one.
pub(crate) fn check() -> Result<()> {
    process::run(CARGO_DENY.command()?.args(["check", "bans", "licenses", "sources"]))
}
