//! `cargo xtask gen`: the files that are made from others.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{argocd, cargo, process, reference};

/// From the code.
const CRD: &str = "deploy/crd.yaml";
/// From the CRD.
const API_REFERENCE: &str = "docs/src/reference/api.md";

/// Write the files that are made from others: deploy/crd.yaml, docs/src/reference/api.md, deploy/argocd/argocd-cm.yaml
#[derive(Args)]
pub(crate) struct Gen {
    /// Change nothing; fail if a file is not what it should be
    #[arg(long)]
    check: bool,
}

/// A file within the project, and what it should hold.
struct Generated {
    path: &'static str,
    text: String,
}

impl Gen {
    pub(crate) fn run(&self) -> Result<()> {
        if self.check { check() } else { write() }
    }
}

/// Fails unless the files are what is made of their sources.
pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    for Generated { path, text } in all()? {
        let present = fs::read_to_string(process::project().join(path));
        if present.with_context(|| format!("read {path}"))? != text {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        bail!(
            "{} is not what the code makes of it: run `cargo xtask gen`, look at the difference, commit it",
            stale.join(", ")
        );
    }
    Ok(())
}

fn write() -> Result<()> {
    for Generated { path, text } in all()? {
        fs::write(process::project().join(path), text).with_context(|| format!("write {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

fn all() -> Result<Vec<Generated>> {
    let crd = crd()?;
    let mut all = of_files(&crd)?;
    all.push(Generated { path: CRD, text: crd });
    Ok(all)
}

/// What is made of the CRD, and of other files of the project.
fn of_files(crd: &str) -> Result<Vec<Generated>> {
    let reference = reference::of_crd(crd).context("make the API reference from the CRD")?;
    Ok(vec![
        Generated { path: API_REFERENCE, text: reference },
        Generated { path: argocd::CONFIG_MAP, text: argocd::config_map()? },
    ])
}

/// The CustomResourceDefinition as YAML.
fn crd() -> Result<String> {
    let mut crdgen = cargo::compiling("run")?;
    crdgen.args(["--bin", "crdgen"]).stderr(Stdio::inherit());
    process::output(&mut crdgen)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Whether the CRD itself is what the code makes of it only a build of the operator tells.
    #[test]
    fn what_is_made_of_other_files_is_up_to_date() {
        let read = |path| fs::read_to_string(process::project().join(path)).expect("it is readable");
        for Generated { path, text } in of_files(&read(CRD)).expect("it can be made") {
            assert!(read(path) == text, "{path}: run `cargo xtask gen`");
        }
    }
}
