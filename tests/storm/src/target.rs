//! The cluster under storm, and the folder for what the operators log.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use local_cluster::Cluster;

use crate::deployment::Resting;
use crate::{account, lease};

/// A cluster in which no operator runs but those of the storms.
pub(crate) struct Target {
    /// The administrator's.
    pub(crate) client: Client,
    /// For faults of the cluster itself.
    pub(crate) cluster: Cluster,
    /// The operator's program.
    pub(crate) operator: PathBuf,
    /// Logs, and the operators' kubeconfig.
    pub(crate) folder: PathBuf,
    installed: Resting,
}

impl Target {
    /// Lets the installed operator rest, and prepares for others in its place.
    pub(crate) async fn prepare(name: &str, operator: PathBuf) -> Result<Self> {
        let cluster = Cluster::named(name)?;
        let admin = Kubeconfig::read_from(cluster.kubeconfig()).context("cannot read the kubeconfig")?;
        let options = KubeConfigOptions { context: Some(cluster.context()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(admin.clone(), &options).await?;
        let client = Client::try_from(config).context("cannot set up a client for the cluster")?;
        let folder = env::temp_dir().join(format!("extendedjob-storm-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let installed = Resting::begin(&client).await?;
        // Held, if at all, by an operator that was killed with its storm: no other is left.
        lease::release(&client, |_| true).await?;
        let target = Self { client, cluster, operator, folder, installed };
        account::write_kubeconfig(&target.client, &admin, &target.account_kubeconfig()).await?;
        Ok(target)
    }

    /// Lets the installed operator run again. What tells about a failure stays.
    pub(crate) async fn leave(&self, all_is_good: bool) -> Result<()> {
        self.installed.end().await?;
        let folder = self.folder.display();
        if all_is_good {
            fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {folder}"))?;
        } else {
            println!("What the operators logged: {folder}");
        }
        Ok(())
    }

    /// The kubeconfig with which operators are started.
    pub(crate) fn account_kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }
}
