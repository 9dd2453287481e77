//! A real Kubernetes on this machine, for tests and the demo.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// A handle on a named cluster, running or not.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: String,
}

/// What runs of a cluster, and where its files are.
#[derive(Clone, Debug)]
pub struct Status {}

impl fmt::Display for Status {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Cluster {
    /// The cluster of this name, which need not exist.
    pub fn named(name: &str) -> anyhow::Result<Cluster> {
        Ok(Cluster { name: name.to_owned() })
    }

    /// Makes the cluster, or finds it running. One that is broken is removed and made anew.
    pub fn up(_options: &Options) -> anyhow::Result<Cluster> {
        anyhow::bail!("not yet")
    }

    /// Removes the cluster and all it left, also after a killed `up`. Does nothing when there is none.
    pub fn down(&self) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }

    /// Whether all components run and the API server is ready.
    pub fn is_up(&self) -> bool {
        false
    }

    /// The components, their processes and the paths to know.
    pub fn status(&self) -> anyhow::Result<Status> {
        Ok(Status {})
    }

    /// The kubeconfig for use from outside the cluster's network.
    pub fn kubeconfig(&self) -> PathBuf {
        PathBuf::from("/var/lib/extendedjob-cluster").join(&self.name).join("kubeconfig")
    }

    /// The name of the context in [`Self::kubeconfig`].
    pub fn context(&self) -> String {
        format!("extendedjob-{}", self.name)
    }

    /// A command that runs inside the cluster's network, with KUBECONFIG set and the built kubectl in PATH.
    pub fn exec(&self, program: &str) -> Command {
        Command::new(program)
    }

    /// The built kubectl, from outside, with `--kubeconfig` and `--context` set.
    pub fn kubectl(&self) -> Command {
        Command::new("kubectl")
    }

    /// The API server's audit log: one JSON object a line, level Metadata.
    pub fn audit_log(&self) -> PathBuf {
        PathBuf::from("/var/lib/extendedjob-cluster").join(&self.name).join("logs/audit.log")
    }

    /// Builds `context_dir/Dockerfile` and pushes it, for pods to name as `docker.io/<image>` or
    /// `127.0.0.1:5000/<image>`.
    pub fn build_image(&self, _context_dir: &Path, _image: &str) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }

    /// Sends a signal to a container's main process; the id may begin with `containerd://`.
    pub fn signal_container(&self, _container_id: &str, _signal: &str) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }

    /// Stops one component, such as `kube-apiserver`, and waits for its end.
    pub fn stop_component(&self, _name: &str) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }

    /// Starts one component and waits until it is ready.
    pub fn start_component(&self, _name: &str) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }
}
