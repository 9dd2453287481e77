//! The chart in deploy/chart, the one source of what an installation consists of, rendered by the real helm.

pub(crate) mod check;
mod facts;
pub(crate) mod flags;
mod image;

use anyhow::Result;

use crate::{go, process};

pub(crate) use image::image_arguments;

/// The chart's folder, within the project.
pub(crate) const CHART: &str = "deploy/chart";

/// What a release is called, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Release {
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
}

/// The release that deploy/install.yaml is, and that `cargo xtask install` installs.
pub(crate) const DEFAULT: Release =
    Release { name: "extendedjob-operator", namespace: "extendedjob-operator" };

/// Makes the release's namespace part of what is rendered: for kubectl, which makes none by itself.
pub(crate) const WITH_NAMESPACE: &str = "--set=namespace.create=true";

/// Only the right to read logs from kubelets, as beside a release without it.
pub(crate) const KUBELET_LOGS_ALONE: [&str; 2] =
    ["--set=kubeletLogs.enabled=true", "--show-only=templates/rbac/kubelet-logs.yaml"];

/// What helm would install, given these flags.
pub(crate) fn render<S: AsRef<str>>(release: Release, flags: &[S]) -> Result<String> {
    let mut helm = go::HELM.command()?;
    helm.current_dir(process::project());
    helm.args(["template", release.name, CHART, "--namespace", release.namespace]);
    helm.args(flags.iter().map(AsRef::as_ref));
    process::output(&mut helm)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn chart_and_program_have_one_version() {
        let path = process::project().join(CHART).join("Chart.yaml");
        let chart = fs::read_to_string(path).expect("the chart is readable");
        for key in ["version", "appVersion"] {
            let line = format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"));
            assert!(chart.contains(&line), "{line}");
        }
    }
}
