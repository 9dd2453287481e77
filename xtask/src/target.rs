//! The Kubernetes that a command works on: a local one by name, or one that the user's kubeconfig knows.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use local_cluster::{Cluster, Options};

use crate::process;

/// Which cluster, as the user says it.
#[derive(Args, Clone)]
pub(crate) struct Which {
    /// The local cluster, made if it does not run [default: `test` for test, else `demo`]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Use the cluster of this context of your kubeconfig instead of a local one
    #[arg(long, value_name = "CONTEXT", conflicts_with = "name")]
    context: Option<String>,

    /// The operator's image for --context, where that cluster can pull it; see `cargo xtask image`
    #[arg(long, value_name = "IMAGE", requires = "context")]
    image: Option<String>,
}

/// The cluster that was chosen.
pub(crate) enum Target {
    /// One of this machine, which may not run yet.
    Local(Cluster, String),
    /// One that exists, and an image that it can pull.
    Existing { context: String, image: String },
}

impl Which {
    /// The chosen cluster; without a choice, the local one of the given name.
    pub(crate) fn target(&self, default_name: &str) -> Result<Target> {
        if let Some(context) = self.context.clone() {
            let image = self.image.clone().with_context(|| {
                format!(
                    "which image is the cluster of context {context:?} to pull? `cargo xtask image` makes it \
                     and says how to push it; then name it with --image"
                )
            })?;
            return Ok(Target::Existing { context, image });
        }
        let name = self.name.as_deref().unwrap_or(default_name);
        Ok(Target::Local(Cluster::named(name)?, name.to_owned()))
    }
}

impl Target {
    /// Makes the local cluster, or finds it running; one that exists must answer.
    pub(crate) fn up(&self) -> Result<()> {
        match self {
            Self::Local(_, name) => {
                Cluster::up(&Options { name: name.clone(), ..Options::default() }).map(drop)
            }
            Self::Existing { .. } => {
                process::output(self.kubectl().args(["get", "--raw", "/readyz"])).map(drop)
            }
        }
    }

    /// A kubectl that talks to this cluster and no other.
    pub(crate) fn kubectl(&self) -> Command {
        match self {
            Self::Local(cluster, _) => cluster.kubectl(),
            Self::Existing { context, .. } => {
                let mut kubectl = Command::new("kubectl");
                kubectl.args(["--context", context]);
                kubectl
            }
        }
    }

    /// Prints what a kubectl command prints, as if it were typed. That it fails is worth a line, not an end.
    pub(crate) fn show(&self, args: &[&str]) {
        println!("\n$ kubectl {}", args.join(" "));
        if let Err(error) = process::run(self.kubectl().args(args)) {
            eprintln!("{error:#}");
        }
    }

    /// The name of the context that leads to this cluster.
    pub(crate) fn context(&self) -> String {
        match self {
            Self::Local(cluster, _) => cluster.context(),
            Self::Existing { context, .. } => context.clone(),
        }
    }

    /// The file that knows the context. Of a KUBECONFIG that lists several, the list.
    pub(crate) fn kubeconfig(&self) -> Result<PathBuf> {
        match self {
            Self::Local(cluster, _) => Ok(cluster.kubeconfig()),
            Self::Existing { .. } => match env::var_os("KUBECONFIG") {
                Some(path) => Ok(PathBuf::from(path)),
                None => Ok(env::home_dir().context("find your home folder")?.join(".kube/config")),
            },
        }
    }

    /// What to type before kubectl commands by hand.
    pub(crate) fn shell_setup(&self) -> String {
        match self {
            Self::Local(cluster, _) => {
                let kubectl = cluster.kubectl();
                let folder = std::path::Path::new(kubectl.get_program()).parent();
                let folder = folder.unwrap_or(std::path::Path::new("")).display();
                format!("export KUBECONFIG={} PATH={folder}:$PATH", cluster.kubeconfig().display())
            }
            Self::Existing { context, .. } => format!("alias kubectl='kubectl --context {context}'"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(_, name) => write!(f, "the local cluster {name:?}"),
            Self::Existing { context, .. } => write!(f, "the cluster of context {context:?}"),
        }
    }
}
