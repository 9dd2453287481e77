//! The handle by which tests and commands make and use a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::run;
use crate::components::{Component, components};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::status::{ComponentStatus, Status};
use crate::{etcd, lock, namespaces, process, registry, requirements, sweep, up};

/// How a cluster is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The cluster's name: lower-case letters, digits and dashes.
    pub name: String,
    /// Feature gates of the API server, each `Name=true` or `Name=false`.
    pub apiserver_feature_gates: Vec<String>,
    /// Feature gates of the kubelet, each `Name=true` or `Name=false`.
    pub kubelet_feature_gates: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "dev".to_owned(),
            apiserver_feature_gates: Vec::new(),
            kubelet_feature_gates: Vec::new(),
        }
    }
}

/// A handle on a named cluster, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    layout: Layout,
}

impl Cluster {
    /// The cluster of this name, which need not exist.
    pub fn named(name: &str) -> Result<Cluster> {
        Ok(Cluster { layout: Layout::new(name)? })
    }

    /// Makes the cluster, or finds it running. One that is broken is removed and made anew.
    ///
    /// A running one with other feature gates is left alone and is an error, unless none were asked for.
    pub fn up(options: &Options) -> Result<Cluster> {
        let cluster = Self::named(&options.name)?;
        let layout = &cluster.layout;
        requirements::check()?;
        let settings = Settings::decide(options)?;
        let progress = Progress::begin();
        let _lock = lock::take(&layout.lock(), &progress)?;
        if cluster.is_up() {
            if !Settings::read(layout)?.suit(options)? {
                bail!("the cluster {} runs with other feature gates: take it down first", options.name);
            }
            progress.step(format!("the cluster {} is up", options.name));
            return Ok(cluster);
        }
        if layout.dir().exists() {
            progress.step(format!("removing what is left of the cluster {}", options.name));
        }
        sweep::remove(layout)?;
        up::make(layout, &settings, &progress).with_context(|| {
            format!("cannot make the cluster {} in {}", options.name, layout.dir().display())
        })?;
        progress.step(format!("the cluster {} is up", options.name));
        Ok(cluster)
    }

    /// Removes the cluster with all its processes, among them those that [`Self::exec`] started, and
    /// everything that a killed `up` left of it. Does nothing when there is none.
    pub fn down(&self) -> Result<()> {
        let progress = Progress::begin();
        let lock = lock::take(&self.layout.lock(), &progress)?;
        sweep::remove(&self.layout)
            .with_context(|| format!("cannot remove the cluster {}", self.layout.name()))?;
        fs::remove_file(self.layout.lock()).context("cannot remove the lock")?;
        drop(lock);
        // Stays as long as there is another cluster.
        drop(fs::remove_dir(Layout::root()));
        progress.step(format!("nothing is left of the cluster {}", self.layout.name()));
        Ok(())
    }

    /// Whether the cluster was made wholly, all components run, and the API server is ready.
    pub fn is_up(&self) -> bool {
        let Ok(components) = self.components() else { return false };
        let ready = |component: &Component| {
            let process = up::running(&self.layout, component.name);
            process.is_some_and(|process| {
                component.name != "kube-apiserver" || component.ready.succeeds(&self.layout, process.pid())
            })
        };
        self.layout.complete().exists() && components.iter().all(ready)
    }

    /// The components, their processes, and the paths to know.
    pub fn status(&self) -> Result<Status> {
        let layout = &self.layout;
        let exists = layout.dir().exists();
        // Without settings, `up` was killed before it started any.
        let components = self.components().unwrap_or_default();
        Ok(Status {
            name: layout.name().to_owned(),
            exists,
            is_up: self.is_up(),
            components: components
                .iter()
                .map(|component| ComponentStatus {
                    name: component.name,
                    pid: up::running(layout, component.name).map(|process| process.pid()),
                    log: layout.log(component.name),
                })
                .collect(),
            paths: vec![
                ("kubeconfig", self.kubeconfig()),
                ("kubectl", layout.bin().join("kubectl")),
                ("audit log", self.audit_log()),
                ("network namespace", layout.network_namespace()),
                ("all its files", layout.dir()),
            ],
        })
    }

    /// The kubeconfig for use from outside the cluster's network.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The name of the only context in [`Self::kubeconfig`].
    pub fn context(&self) -> String {
        self.layout.group()
    }

    /// A command that runs inside the cluster's network, with KUBECONFIG set and the built kubectl in PATH.
    pub fn exec(&self, program: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.layout.bin()).chain(std::env::split_paths(&path));
        let mut command = namespaces::enter_network(&self.layout, program);
        command.env("KUBECONFIG", self.layout.inside_kubeconfig());
        command.env("KUBECACHEDIR", self.layout.kubectl_cache());
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command
    }

    /// The built kubectl, from outside, with `--kubeconfig` and `--context` set.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.layout.bin().join("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--context").arg(self.context());
        command.env("KUBECACHEDIR", self.layout.kubectl_cache());
        command
    }

    /// The API server's audit log: one JSON object a line, level Metadata, without the stage
    /// RequestReceived.
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// Builds `context_dir/Dockerfile` and pushes it to the cluster's registry, for pods to name as
    /// `docker.io/<image>`, as `127.0.0.1:5000/<image>`, or just as `<image>`.
    pub fn build_image(&self, context_dir: &Path, image: &str) -> Result<()> {
        registry::build_and_push(&self.layout, context_dir, image)
    }

    /// Sends a signal, such as `KILL`, to a container's main process. The id may be as pods tell it, with
    /// `containerd://` before it.
    pub fn signal_container(&self, container_id: &str, signal: &str) -> Result<()> {
        let id = container_id.trim_start_matches("containerd://");
        run(namespaces::enter_node(&self.layout, &self.layout.containerd().join("ctr")).args([
            "--namespace",
            "k8s.io",
            "tasks",
            "kill",
            "--signal",
            signal,
            id,
        ]))
        .with_context(|| format!("cannot send {signal} to the container {id}"))
        .map(drop)
    }

    /// Stops one component, such as `kube-apiserver`, at once, as a fault would, and waits for its end.
    /// Asked to end, an API server takes its time over open watches.
    pub fn stop_component(&self, name: &str) -> Result<()> {
        self.component(name)?;
        let Some(process) = up::running(&self.layout, name) else { return Ok(()) };
        process::kill(&[process]).with_context(|| format!("cannot stop {name}"))
    }

    /// Starts one component, if it does not run, and waits until it is ready.
    pub fn start_component(&self, name: &str) -> Result<()> {
        let component = self.component(name)?;
        if up::running(&self.layout, name).is_none() {
            up::start(&self.layout, &component)?;
        }
        up::await_ready(&self.layout, &component)
    }

    /// Lets the API server forget all former versions of all objects, so that a list or a watch from one of
    /// them is answered with 410 Gone. It is restarted for that: it answers from its own memory what etcd no
    /// longer knows.
    pub fn forget_history(&self) -> Result<()> {
        etcd::compact(&self.layout)?;
        self.stop_component("kube-apiserver")?;
        self.start_component("kube-apiserver")
    }

    fn component(&self, name: &str) -> Result<Component> {
        let found = self.components()?.into_iter().find(|component| component.name == name);
        found.with_context(|| format!("a cluster has no component {name}; `status` lists them"))
    }

    fn components(&self) -> Result<Vec<Component>> {
        Ok(components(&self.layout, &Settings::read(&self.layout)?))
    }
}
