//! `cargo xtask gen`: the files that are made from others.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{argocd, cargo, chart, process, reference};

/// The header of manifests that helm has rendered.
const RENDERED: &str = "# Generated from deploy/chart by `cargo xtask gen`: edit there, not here.\n";

/// A file, and what makes it.
struct Generated {
    path: &'static str,
    make: fn() -> Result<String>,
}

/// From the code.
const CRD: &str = "deploy/crd.yaml";

/// All of them, each behind what it is made of.
const FILES: [Generated; 10] = [
    Generated { path: "api/src/fields.txt", make: || crdgen(&["--fields"]) },
    Generated { path: CRD, make: || crdgen(&[]) },
    Generated { path: "docs/src/reference/api.md", make: || reference::of_crd(&read(CRD)?) },
    Generated { path: argocd::CONFIG_MAP, make: argocd::config_map },
    // A chart can hold nothing from outside its folder.
    Generated { path: "deploy/chart/files/crd.yaml", make: || read(CRD) },
    Generated { path: "deploy/chart/files/rules.yaml", make: || read("deploy/monitoring/rules.yaml") },
    Generated {
        path: "deploy/chart/files/dashboard.json",
        make: || read("deploy/monitoring/dashboard.json"),
    },
    Generated { path: "deploy/install.yaml", make: install },
    // Nor can a kustomization.
    Generated { path: "deploy/kustomize/base/operator.yaml", make: || read("deploy/install.yaml") },
    Generated { path: "deploy/kustomize/kubelet-logs/kubelet-logs.yaml", make: kubelet_logs },
];

/// Write the files that are made from others: the CRD from the code, manifests from the chart, and more
#[derive(Args)]
pub(crate) struct Gen {
    /// Change nothing; fail if a file is not what it is made of
    #[arg(long)]
    check: bool,
}

impl Gen {
    pub(crate) fn run(&self) -> Result<()> {
        if self.check { check() } else { write() }
    }
}

/// Fails unless the files are what they are made of.
pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    for Generated { path, make } in FILES {
        if read(path)? != make()? {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        let stale = stale.join(", ");
        bail!("{stale}: not what it is made of; run `cargo xtask gen`, look at the difference, commit it");
    }
    Ok(())
}

fn write() -> Result<()> {
    for Generated { path, make } in FILES {
        fs::write(process::project().join(path), make()?).with_context(|| format!("write {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

/// What is made of the types.
fn crdgen(arguments: &[&str]) -> Result<String> {
    let mut crdgen = cargo::compiling("run")?;
    crdgen.args(["--bin", "crdgen", "--"]).args(arguments).stderr(Stdio::inherit());
    process::output(&mut crdgen)
}

/// All of an installation in one file.
fn install() -> Result<String> {
    Ok(RENDERED.to_owned() + &chart::render(chart::DEFAULT, &[chart::WITH_NAMESPACE])?)
}

fn kubelet_logs() -> Result<String> {
    Ok(RENDERED.to_owned() + &chart::render(chart::DEFAULT, &chart::KUBELET_LOGS_ALONE)?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(process::project().join(path)).with_context(|| format!("read {path}"))
}
