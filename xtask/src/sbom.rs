//! `cargo xtask sbom`: what each program is made of, for scanners and for those who must know.
//!
//! With cargo-cyclonedx, which asks cargo and compiles nothing. cargo-auditable would have to build the programs, in its
//! own way, and leave the list in them for another tool to get out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::cargo::cargo;
use crate::process;
use crate::tools::Tool;

const CARGO_CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9", options: &[] };

/// Where the lists are, within the project.
const FOLDER: &str = "target/sbom";

/// How their names end.
const SUFFIX: &str = "_bin.cdx.json";

/// Write down what each program is made of: target/sbom, one CycloneDX file for each
///
/// Builds cargo-cyclonedx if it is missing. With SOURCE_DATE_EPOCH set, the same source in the same folder makes the
/// same files.
#[derive(Args)]
pub(crate) struct Sbom {
    /// The compiler's name of the platform that the programs are for
    #[arg(long, value_name = "TARGET", default_value = "x86_64-unknown-linux-gnu")]
    target: String,
}

impl Sbom {
    pub(crate) fn run(&self) -> Result<()> {
        let mut cyclonedx = CARGO_CYCLONEDX.command()?;
        cyclonedx.args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--describe", "binaries"]);
        cyclonedx.args(["--no-build-deps", "--target", &self.target, "--quiet"]);
        process::run(&mut cyclonedx)?;
        let folder = process::project().join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("create {FOLDER}"))?;
        for member in members()? {
            collect(&member, &folder)?;
        }
        Ok(())
    }
}

/// The folders of the project's packages: the tool leaves its files there.
fn members() -> Result<Vec<PathBuf>> {
    let metadata = process::output(cargo("metadata").args(["--no-deps", "--format-version=1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("understand cargo's metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifests = packages.filter_map(|package| package["manifest_path"].as_str());
    Ok(manifests.filter_map(|manifest| Path::new(manifest).parent().map(Path::to_owned)).collect())
}

/// Moves the lists of one package to where they are looked for, and says which there are.
fn collect(member: &Path, folder: &Path) -> Result<()> {
    let list = || format!("list {}", member.display());
    for entry in fs::read_dir(member).with_context(list)? {
        let from = entry.with_context(list)?.path();
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(program) = name.strip_suffix(SUFFIX) {
            fs::rename(&from, folder.join(name)).with_context(|| format!("move {}", from.display()))?;
            println!("{program}: {FOLDER}/{name}");
        }
    }
    Ok(())
}
