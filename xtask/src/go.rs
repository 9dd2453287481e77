//! Programs of others that the commands need: built from source, once for each version, by way of Go's module proxy,
//! as Kubernetes is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use local_cluster::cache;

use crate::process;

/// A program, and where its source is.
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
    version: &'static str,
    /// How long the build takes on two cores, for who waits for it.
    takes: &'static str,
}

/// Renders, checks and installs the chart.
pub(crate) const HELM: Program =
    Program { name: "helm", package: "helm.sh/helm/v4/cmd/helm", version: "v4.3.1", takes: "some minutes" };

/// Holds manifests against JSON schemas.
pub(crate) const KUBECONFORM: Program = Program {
    name: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    version: "v0.8.0",
    takes: "half a minute",
};

impl Program {
    /// A call of it; it is built before if it is not in the cache.
    pub(crate) fn command(&self) -> Result<Command> {
        self.provide().map(Command::new)
    }

    /// Where it is.
    fn provide(&self) -> Result<PathBuf> {
        let Self { name, version, takes, .. } = self;
        let folder = cache()?.join(format!("{name}-{version}"));
        let path = folder.join(name);
        if path.exists() {
            return Ok(path);
        }
        eprintln!("building {name} {version}, which takes {takes} the first time");
        // Of its own for each build: one that is killed leaves no half of a program where it is looked for, and two at
        // once do not meet.
        let unfinished = folder.join(format!("unfinished-{}", std::process::id()));
        fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
        process::run(&mut self.build(&unfinished))?;
        fs::rename(unfinished.join(name), &path)
            .with_context(|| format!("put {} in place", path.display()))?;
        fs::remove_dir(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
        Ok(path)
    }

    fn build(&self, folder: &std::path::Path) -> Command {
        let mut go = Command::new("go");
        go.args(["install", "-trimpath", "-ldflags", "-s -w"]);
        go.arg(format!("{}@{}", self.package, self.version));
        // Without cgo, which would want a C compiler.
        go.env("GOBIN", folder).env("CGO_ENABLED", "0");
        go
    }
}

/// The folder with the source of a module, at the version that the module in the folder `of` asks for.
pub(crate) fn source(module: &str, of: &str) -> Result<PathBuf> {
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", module]).current_dir(of);
    let answer: serde_json::Value = serde_json::from_str(&process::output(&mut go)?)
        .with_context(|| format!("read what go says of {module}"))?;
    let folder = answer.get("Dir").and_then(|folder| folder.as_str());
    Ok(PathBuf::from(folder.with_context(|| format!("go does not say where it put {module}"))?))
}
