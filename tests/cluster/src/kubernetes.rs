//! Builds Kubernetes and etcd from source, once for each version: Go's module proxy is a way to get them
//! that needs no container engine.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::{make_folder, remove_folder};
use crate::layout::cache;
use crate::lock;
use crate::progress::Progress;

/// The folder of the Go module that pins the versions of Kubernetes and etcd.
pub const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");
const GO_MOD: &str = include_str!("../kubernetes/go.mod");
const GO_SUM: &str = include_str!("../kubernetes/go.sum");
const PAUSE: &str = include_str!("../kubernetes/pause/main.go");

/// The programs and their Go packages. The largest is first, so that one sees the worst at once.
const PROGRAMS: &[(&str, &str)] = &[
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("pause", "./pause"),
];

/// Builds what is not yet in the cache, and returns the folder of the programs.
pub(crate) fn build(progress: &Progress) -> Result<PathBuf> {
    let version = version(GO_MOD)?;
    let folder = cache()?.join(format!("kubernetes-{version}-{:08x}", fingerprint(version)));
    let absent = || PROGRAMS.iter().filter(|(program, _)| !folder.join(program).exists());
    if absent().next().is_none() {
        return Ok(folder);
    }
    make_folder(&folder)?;
    let _lock = lock::take(&folder.join("lock"), progress)?;
    let unfinished = folder.join("unfinished");
    remove_folder(&unfinished)?;
    make_folder(&unfinished)?;
    let absent: Vec<_> = absent().collect();
    for (index, (program, package)) in absent.iter().enumerate() {
        let note = if *program == "kube-apiserver" { ", which takes minutes the first time" } else { "" };
        progress.step(format!("building {program} {version} ({} of {}{note})", index + 1, absent.len()));
        build_one(package, version, &unfinished.join(program))
            .with_context(|| format!("cannot build {program}"))?;
        // Only now: a killed build leaves no half of a program behind.
        fs::rename(unfinished.join(program), folder.join(program))
            .with_context(|| format!("cannot put {program} in place"))?;
    }
    remove_folder(&unfinished)?;
    Ok(folder)
}

fn build_one(package: &str, version: &str, program: &Path) -> Result<()> {
    // Dies with this command: nobody wants the rest of a build of minutes when it is killed.
    run(Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "go", "build", "-trimpath", "-buildvcs=false"])
        .args(["-ldflags", &linker_flags(version), "-o"])
        .args([program, Path::new(package)])
        .current_dir(MODULE)
        .env("GOTMPDIR", program.parent().unwrap_or(program))
        .env("CGO_ENABLED", "0"))
    .map(drop)
}

/// What Kubernetes' own build stamps into its programs, where they say their version and where their
/// clients do. Without it they take themselves for v0.0.0.
fn linker_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let [major, minor] = [(); 2].map(|()| numbers.next().unwrap_or_default());
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)] {
            flags += &format!(" -X {package}.{name}={value}");
        }
    }
    flags
}

/// The version of Kubernetes that a go.mod asks for.
fn version(go_mod: &str) -> Result<&str> {
    let required = go_mod.lines().find_map(|line| {
        line.trim().trim_start_matches("require ").strip_prefix("k8s.io/kubernetes ")?.split(' ').next()
    });
    required.context("the module tests/cluster/kubernetes does not require k8s.io/kubernetes")
}

/// Changes with anything that changes the programs.
fn fingerprint(version: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (GO_MOD, GO_SUM, PAUSE, linker_flags(version)).hash(&mut hasher);
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_of_the_go_module() {
        assert_eq!(version("require k8s.io/kubernetes v1.2.3").unwrap(), "v1.2.3");
        assert_eq!(version("require (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)").unwrap(), "v1.2.3");
        assert!(version("replace k8s.io/api => k8s.io/api v0.2.3").is_err());
        assert!(version(GO_MOD).unwrap().starts_with("v1."));
    }

    #[test]
    fn the_version_is_stamped_whole_and_in_parts() {
        let flags = linker_flags("v1.36.3");
        for part in ["gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"] {
            assert!(flags.contains(part), "{flags}");
        }
    }
}
