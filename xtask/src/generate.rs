//! `cargo xtask gen`: the files that are made from the code.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo, process};

/// The one generated file so far, within the project.
const CRD: &str = "deploy/crd.yaml";

/// Write the files that are made from the code: deploy/crd.yaml
#[derive(Args)]
pub(crate) struct Gen {
    /// Change nothing; fail if a file is not what the code makes of it
    #[arg(long)]
    check: bool,
}

impl Gen {
    pub(crate) fn run(&self) -> Result<()> {
        if self.check { check() } else { write() }
    }
}

/// Fails unless the files are what the code makes of them.
pub(crate) fn check() -> Result<()> {
    let path = process::project().join(CRD);
    let present = fs::read_to_string(&path).with_context(|| format!("read {CRD}"))?;
    if present != crd()? {
        bail!(
            "{CRD} is not what the code makes of it: run `cargo xtask gen`, look at the difference, commit it"
        );
    }
    Ok(())
}

fn write() -> Result<()> {
    let path = process::project().join(CRD);
    fs::write(&path, crd()?).with_context(|| format!("write {CRD}"))?;
    println!("wrote {CRD}");
    Ok(())
}

/// The CustomResourceDefinition as YAML.
fn crd() -> Result<String> {
    let mut crdgen = cargo::compiling("run")?;
    crdgen.args(["--bin", "crdgen"]).stderr(Stdio::inherit());
    process::output(&mut crdgen)
}
