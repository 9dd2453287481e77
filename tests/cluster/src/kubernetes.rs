//! Kubernetes and etcd.

use anyhow::Result;

use crate::go::{Module, required};

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

/// The module.
pub(crate) fn module() -> Result<Module> {
    let version = required(GO_MOD, "k8s.io/kubernetes")?;
    Ok(Module {
        name: "kubernetes",
        version,
        folder: MODULE,
        sources: &[GO_MOD, GO_SUM, PAUSE],
        linker_flags: linker_flags(version),
        tags: "",
        programs: PROGRAMS,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_stamped_whole_and_in_parts() {
        let flags = linker_flags("v1.36.3");
        for part in ["gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"] {
            assert!(flags.contains(part), "{flags}");
        }
    }
}
