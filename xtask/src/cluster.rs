//! `cargo xtask cluster`: makes, uses and removes a local Kubernetes.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use local_cluster::{Cluster, Options};

/// What to do with a cluster.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Make the cluster, or find it running; a broken one is made anew
    Up(Up),
    /// Remove the cluster wholly, also what a killed command left of it
    Down(Name),
    /// Say what runs, and where its files are
    Status(Name),
    /// Run a command inside the cluster's network, with KUBECONFIG set and kubectl in PATH
    Exec(Exec),
    /// Print the path of the kubeconfig
    Kubeconfig(Name),
}

/// Which cluster.
#[derive(Args)]
pub(crate) struct Name {
    /// The cluster's name; several stand side by side
    #[arg(long, default_value = "dev")]
    name: String,
}

/// How the cluster is to be made.
#[derive(Args)]
pub(crate) struct Up {
    #[command(flatten)]
    name: Name,
    /// Feature gates of API server and kubelet, such as PodLogsQuerySplitStreams=true
    #[arg(long, value_delimiter = ',', value_name = "GATE=BOOL")]
    feature_gates: Vec<String>,
    /// Feature gates of the API server alone
    #[arg(long, value_delimiter = ',', value_name = "GATE=BOOL")]
    apiserver_feature_gates: Vec<String>,
    /// Feature gates of the kubelet alone
    #[arg(long, value_delimiter = ',', value_name = "GATE=BOOL")]
    kubelet_feature_gates: Vec<String>,
}

/// What to run inside.
#[derive(Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    name: Name,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Does it.
pub(crate) fn run(task: Task) -> Result<()> {
    match task {
        Task::Up(up) => {
            let cluster = Cluster::up(&up.options())?;
            let kubeconfig = cluster.kubeconfig();
            println!("\nUse it:\n  export KUBECONFIG={}", kubeconfig.display());
            println!("or give `--context {}` to other commands of cargo xtask.", cluster.context());
        }
        Task::Down(name) => name.cluster()?.down()?,
        Task::Status(name) => println!("{}", name.cluster()?.status()?),
        Task::Exec(exec) => return exec.run(),
        Task::Kubeconfig(name) => println!("{}", name.cluster()?.kubeconfig().display()),
    }
    Ok(())
}

impl Name {
    fn cluster(&self) -> Result<Cluster> {
        Cluster::named(&self.name)
    }
}

impl Up {
    fn options(self) -> Options {
        let both = self.feature_gates;
        let with_both = |own: Vec<String>| [both.clone(), own].concat();
        Options {
            name: self.name.name,
            apiserver_feature_gates: with_both(self.apiserver_feature_gates),
            kubelet_feature_gates: with_both(self.kubelet_feature_gates),
        }
    }
}

impl Exec {
    /// Becomes the command, so that signals and the exit status are the command's own.
    fn run(self) -> Result<()> {
        let (program, arguments) = self.command.split_first().context("no command was given")?;
        let (name, cluster) = (&self.name.name, self.name.cluster()?);
        ensure!(
            cluster.status()?.exists,
            "there is no cluster {name}: make it with `cargo xtask cluster up --name {name}`"
        );
        let error = cluster.exec(program).args(arguments).exec();
        Err(error).with_context(|| format!("cannot run {program} in the cluster {name}"))
    }
}
