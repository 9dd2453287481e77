//! What is read and written in the cluster.

use anyhow::{Context, Result, anyhow, bail};
use extendedjob_api::{ExtendedJob, ExtendedJobStatus};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client, Config,
    api::{ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use serde_json::Value;

use crate::args::Connection;

/// Under this name the API server records what was set, and the operator's Events tell it.
const FIELD_MANAGER: &str = "kubectl-ejob";

/// A namespace of a cluster.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    pub(crate) async fn connect(connection: &Connection) -> Result<Self> {
        let kubeconfig = match &connection.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => read_all(),
        };
        let options =
            KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
        let kubeconfig = kubeconfig.context("can't read the kubeconfig")?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let config = config.context("can't use the kubeconfig")?;
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("can't set up a client for the cluster")?;
        Ok(Self { client, namespace })
    }

    /// The names of all ExtendedJobs of the namespace.
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        let all = self.extended_jobs().list_metadata(&ListParams::default()).await?;
        Ok(all.items.into_iter().filter_map(|it| it.metadata.name).collect())
    }

    fn extended_jobs(&self) -> Api<ExtendedJob> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn extended_job(&self, name: &str) -> Result<ExtendedJob> {
        match self.extended_jobs().get(name).await {
            Err(kube::Error::Api(status)) if status.code == 404 => self.explain_missing(name).await,
            got => got.map_err(plain).with_context(|| format!("can't read the ExtendedJob {name}")),
        }
    }

    async fn explain_missing(&self, name: &str) -> Result<ExtendedJob> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // Who may not read namespaces is told the first half.
        if let Err(kube::Error::Api(status)) = namespaces.get_metadata(&self.namespace).await
            && status.code == 404
        {
            bail!("no namespace {}", self.namespace);
        }
        bail!("no ExtendedJob {name} in namespace {}", self.namespace)
    }

    /// The same; `None` if it can't be read just now.
    pub(crate) async fn look(&self, name: &str) -> Result<Option<ExtendedJob>> {
        match self.extended_jobs().get(name).await {
            Ok(extended_job) => Ok(Some(extended_job)),
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => {
                bail!("can't read the ExtendedJob {name}: {}", status.message)
            }
            Err(_) => Ok(None),
        }
    }

    /// Merges a patch into an ExtendedJob, provided that it is still as it was read; `None` if it is not.
    pub(crate) async fn patch(&self, read: &ExtendedJob, mut patch: Value) -> Result<Option<ExtendedJob>> {
        let name = read.metadata.name.clone().unwrap_or_default();
        patch["metadata"]["resourceVersion"] = serde_json::json!(read.metadata.resource_version);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.extended_jobs().patch(&name, &params, &Patch::Merge(&patch)).await {
            Ok(patched) => Ok(Some(patched)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => {
                Err(plain(error)).with_context(|| format!("can't ask the ExtendedJob {name} for a run"))
            }
        }
    }

    pub(crate) async fn pods(&self, selector: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let listed = pods.list(&ListParams::default().labels(selector)).await;
        Ok(listed
            .map_err(plain)
            .with_context(|| format!("can't list the pods in namespace {}", self.namespace))?
            .items)
    }
}

/// An error in the API server's own words, where it has said something.
pub(crate) fn plain(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => anyhow!(status.message.clone()),
        error => error.into(),
    }
}

/// What KUBECONFIG names, or the usual file. As kubectl, it leaves out files that are not there.
fn read_all() -> Result<Kubeconfig, KubeconfigError> {
    let Some(named) = std::env::var_os("KUBECONFIG") else { return Kubeconfig::read() };
    let mut files = std::env::split_paths(&named).filter(|path| path.is_file());
    let Some(first) = files.next() else { return Kubeconfig::read() };
    files.try_fold(Kubeconfig::read_from(first)?, |all, path| all.merge(Kubeconfig::read_from(path)?))
}

/// What the operator has told; nothing yet, if it has not seen it.
pub(crate) fn status_of(extended_job: &ExtendedJob) -> ExtendedJobStatus {
    extended_job.status.clone().unwrap_or_default()
}
