//! Makes a cluster, step by step. A step that fails leaves its traces to be looked at; the next `up` or
//! `down` removes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::last_lines;
use crate::components::{Component, Place, STAGES, components};
use crate::files::make_folder;
use crate::layout::Layout;
use crate::network::POD_SUBNET;
use crate::process::{self, Process};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{
    certs, cgroups, containerd, images, kubeconfig, kubernetes, mounts, namespaces, network, packages,
};

/// A cold machine that builds something else at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(180);

/// Configuration files and where they go. `{dir}`, `{group}` and `{pods}` in them are filled in.
const FILES: &[(&str, &str)] = &[
    ("config/audit-policy.yaml", include_str!("../config/audit-policy.yaml")),
    ("config/cni/pods.conflist", include_str!("../config/cni.conflist")),
    ("config/containers.conf", include_str!("../config/containers.conf")),
    ("config/containerd.toml", include_str!("../config/containerd.toml")),
    ("config/kubelet.yaml", include_str!("../config/kubelet.yaml")),
    ("config/registries/docker.io/hosts.toml", include_str!("../config/hosts.toml")),
    ("config/registries.conf", include_str!("../config/registries.conf")),
    ("config/registry.yaml", include_str!("../config/registry.yaml")),
];

/// Makes the cluster where nothing is of one.
pub(crate) fn make(layout: &Layout, settings: &Settings, progress: &Progress) -> Result<()> {
    packages::install_missing(progress)?;
    let kubernetes = kubernetes::module()?.build(progress)?;
    let containerd = containerd::module()?.build(progress)?;

    progress.step("writing certificates and configuration");
    write_files(layout, settings)?;
    link(&kubernetes, &layout.bin())?;
    link(&containerd, &layout.containerd())?;
    progress.step("making the network, the mounts and the control groups");
    namespaces::make_holder(layout)?;
    network::make(layout)?;
    mounts::make(layout)?;
    cgroups::make(layout)?;
    images::restore(layout)?;

    let all = components(layout, settings);
    for stage in STAGES {
        let members = || all.iter().filter(|component| component.stage == stage);
        let names: Vec<_> = members().map(|component| component.name).collect();
        progress.step(format!("starting {}", names.join(", ")));
        for component in members() {
            start(layout, component)?;
        }
        for component in members() {
            await_ready(layout, component)?;
        }
    }
    images::build_missing(layout, progress)?;
    fs::write(layout.complete(), "").context("cannot note that the cluster is complete")
}

fn write_files(layout: &Layout, settings: &Settings) -> Result<()> {
    for folder in ["config", "logs", "run"] {
        let folder = layout.path(folder);
        make_folder(&folder)?;
    }
    settings.write(layout)?;
    certs::make(&layout.path("pki"))?;
    kubeconfig::write(layout, settings.port)?;
    let dir = layout.dir().display().to_string();
    for (name, template) in FILES {
        let path = layout.path(name);
        let text =
            template.replace("{dir}", &dir).replace("{group}", &layout.group()).replace("{pods}", POD_SUBNET);
        make_folder(path.parent().unwrap_or(&path))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn link(programs: &Path, place: &Path) -> Result<()> {
    symlink(programs, place).with_context(|| format!("cannot link {}", place.display()))
}

/// Starts one component, and does not wait.
pub(crate) fn start(layout: &Layout, component: &Component) -> Result<()> {
    let program = Path::new(&component.program);
    let mut command = match component.place {
        Place::Node => namespaces::enter_node(layout, program),
        Place::Machine => std::process::Command::new(program),
    };
    command.args(&component.args);
    process::start(&command, &layout.log(component.name), &layout.pid_file(component.name))
        .with_context(|| format!("cannot start {}", component.name))
        .map(drop)
}

/// Waits until a component is ready. Fails at once when it has ended.
pub(crate) fn await_ready(layout: &Layout, component: &Component) -> Result<()> {
    let mut ended = false;
    let ready = process::wait_until(PATIENCE, Duration::from_millis(100), || {
        let Some(process) = running(layout, component.name) else {
            ended = true;
            return true;
        };
        component.ready.succeeds(layout, process.pid())
    });
    if ready && !ended {
        return Ok(());
    }
    let log = layout.log(component.name);
    let end = fs::read_to_string(&log).unwrap_or_default();
    let what = if ended { "ended" } else { "did not become ready" };
    bail!("{} {what}; the end of {}:\n{}", component.name, log.display(), last_lines(end.trim_end(), 15))
}

/// The component's process, if it runs.
pub(crate) fn running(layout: &Layout, name: &str) -> Option<Process> {
    Process::read(&layout.pid_file(name)).filter(Process::is_alive)
}
