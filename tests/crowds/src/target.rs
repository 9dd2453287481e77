//! The cluster, and the folder for what the operators log.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use local_cluster::Cluster;
use serde_json::{Value, json};

use crate::deployment::Resting;
use crate::namespace::Namespace;
use crate::{account, lease};

/// A cluster in which no operator runs but those that are started here.
pub struct Target {
    /// The administrator's.
    pub client: Client,
    /// For faults of the cluster itself.
    pub cluster: Cluster,
    /// The operator's program.
    pub operator: PathBuf,
    /// Logs, and the operators' kubeconfig.
    pub folder: PathBuf,
    config: Config,
    installed: Resting,
}

impl Target {
    /// Lets the installed operator rest, and prepares for others in its place. The way to the API server is that of the
    /// administrator's kubeconfig, for the operators as well.
    pub async fn prepare(cluster: Cluster, kubeconfig: &Path, operator: PathBuf) -> Result<Self> {
        let admin = Kubeconfig::read_from(kubeconfig).context("cannot read the kubeconfig")?;
        let options = KubeConfigOptions { context: Some(cluster.context()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(admin.clone(), &options).await?;
        let client = Client::try_from(config.clone()).context("cannot set up a client for the cluster")?;
        let folder = env::temp_dir().join(format!("extendedjob-crowds-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let installed = Resting::begin(&client).await?;
        // Held, if at all, by an operator that was killed with the program that had started it: no other is left.
        lease::release(&client, |_| true).await?;
        let target = Self { client, cluster, operator, folder, config, installed };
        account::write_kubeconfig(&target.client, &admin, &target.account_kubeconfig()).await?;
        Ok(target)
    }

    /// A client of its own for an account of a namespace, which is given the rights of a ClusterRole there.
    pub async fn connect_as_account(&self, namespace: &Namespace, role: &str) -> Result<Client> {
        let token = account::with_role(&self.client, &namespace.name, role).await?;
        let mut config = self.config.clone();
        config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
        Client::try_from(config).context("cannot set up a client for an account")
    }

    /// A client that says no more of who asks than the requests that it is given.
    pub fn connect_as_nobody(&self) -> Result<Client> {
        let mut config = self.config.clone();
        config.auth_info = AuthInfo::default();
        Client::try_from(config).context("cannot set up a client for nobody")
    }

    /// A kubeconfig with which operators go by way of this address, without TLS.
    pub fn kubeconfig_over(&self, address: SocketAddr) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let path = self.folder.join(format!("kubeconfig-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let text = fs::read(self.account_kubeconfig()).context("cannot read the operators' kubeconfig")?;
        let mut config: Value = serde_json::from_slice(&text)?;
        config["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
        account::save(&config, &path)?;
        Ok(path)
    }

    /// Lets the installed operator run again. What tells about a failure stays.
    pub async fn leave(&self, all_is_good: bool) -> Result<()> {
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
    pub fn account_kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }
}
