//! What happens to the API server and other parts of the cluster.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, VersionMatch};
use local_cluster::Cluster;
use tokio::time::sleep;

use crate::names::{EXTENDED_JOB, GROUP, PLURAL};
use crate::namespace::Namespace;
use crate::patience::{answered, asked, done_or, until};
use crate::target::Target;

/// The HTTP status for a version that is forgotten.
const GONE: u16 = 410;
/// The same for an object that is not there, and for one that is there already.
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

impl Target {
    /// kill -9, and a new start; returns when it is ready again.
    pub async fn kill_and_restart_api_server(&self) -> Result<()> {
        self.to_cluster(|cluster| {
            cluster.stop_component("kube-apiserver")?;
            cluster.start_component("kube-apiserver")
        })
        .await
    }

    /// kill -9 of etcd, and a new start after this time; returns when it is ready again.
    pub async fn kill_etcd_for(&self, time: Duration) -> Result<()> {
        self.to_cluster(|cluster| cluster.stop_component("etcd")).await?;
        sleep(time).await;
        self.to_cluster(|cluster| cluster.start_component("etcd")).await
    }

    /// What makes the definition of ExtendedJobs again.
    pub async fn definition(&self) -> Result<CustomResourceDefinition> {
        let (definitions, name) = (self.definitions(), format!("{PLURAL}.{GROUP}"));
        let found = answered("read the definition", || definitions.get(&name)).await?;
        let ObjectMeta { labels, annotations, .. } = found.metadata;
        let metadata = ObjectMeta { name: Some(name), labels, annotations, ..ObjectMeta::default() };
        Ok(CustomResourceDefinition { metadata, spec: found.spec, status: None })
    }

    /// Deletes it, and waits until it is gone, and all ExtendedJobs with it.
    pub async fn delete_definition(&self) -> Result<()> {
        let (definitions, name) = (self.definitions(), format!("{PLURAL}.{GROUP}"));
        let delete = DeleteParams::default();
        done_or("delete the definition", NOT_FOUND, || definitions.delete(&name, &delete)).await?;
        until("the end of the definition", async || {
            let left = answered("read the definition", || definitions.get_opt(&name)).await?;
            Ok(left.is_none().then_some(()))
        })
        .await
    }

    /// Brings it back, and waits until ExtendedJobs can be created.
    pub async fn define_again(&self, definition: CustomResourceDefinition) -> Result<()> {
        let (definitions, name) = (self.definitions(), format!("{PLURAL}.{GROUP}"));
        let create = PostParams::default();
        until("the definition to be established", async || {
            // The one before may not be gone yet.
            done_or("define ExtendedJobs", CONFLICT, || definitions.create(&create, &definition)).await?;
            let found = answered("read the definition", || definitions.get_opt(&name)).await?;
            let standing = found.filter(|found| found.metadata.deletion_timestamp.is_none());
            let conditions = standing.and_then(|found| found.status?.conditions).unwrap_or_default();
            Ok(conditions.iter().any(|it| it.type_ == "Established" && it.status == "True").then_some(()))
        })
        .await
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.client.clone())
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Deletes the only node. What runs on it does so until someone deletes its pods.
    pub async fn delete_node(&self) -> Result<()> {
        let (nodes, list, delete) = (self.nodes(), ListParams::default(), DeleteParams::default());
        let all = answered("list the nodes", || nodes.list_metadata(&list)).await?;
        for node in all.items {
            let name = node.metadata.name.context("a node without a name")?;
            done_or("delete a node", NOT_FOUND, || nodes.delete(&name, &delete)).await?;
        }
        Ok(())
    }

    /// Brings it back: a kubelet says who it is when it starts. Returns when pods can run there.
    pub async fn bring_node_back(&self) -> Result<()> {
        self.to_cluster(|cluster| {
            cluster.stop_component("kubelet")?;
            cluster.start_component("kubelet")
        })
        .await?;
        let (nodes, list) = (self.nodes(), ListParams::default());
        until("a node that is ready", async || {
            let nodes = answered("list the nodes", || nodes.list(&list)).await?;
            let mut conditions =
                nodes.items.iter().flat_map(|node| node.status.as_ref()?.conditions.as_ref()).flatten();
            Ok(conditions.any(|it| it.type_ == "Ready" && it.status == "True").then_some(()))
        })
        .await
    }

    /// From now on no watch can be resumed from a version before this moment.
    pub async fn forget_history(&self) -> Result<()> {
        self.to_cluster(Cluster::forget_history).await
    }

    /// Does something that takes its time, and lets everything else here go on.
    pub async fn to_cluster(&self, act: impl FnOnce(&Cluster) -> Result<()> + Send + 'static) -> Result<()> {
        let cluster = self.cluster.clone();
        tokio::task::spawn_blocking(move || act(&cluster)).await?
    }
}

impl Namespace {
    /// Waits until a pod of an ExtendedJob's runs, and gives its name.
    pub async fn until_a_pod_runs_of(&self, extended_job: &str) -> Result<String> {
        let running = ListParams::default().fields("status.phase=Running");
        let (pods, running) = (self.api::<Pod>(), running.labels(&format!("{EXTENDED_JOB}={extended_job}")));
        until("a pod that runs", async || {
            let pods = answered("list the pods", || pods.list_metadata(&running)).await?;
            Ok(pods.items.into_iter().find_map(|pod| pod.metadata.name))
        })
        .await
    }

    /// Waits until this pod is no more.
    pub async fn until_it_is_gone(&self, pod: &str) -> Result<()> {
        let pods = self.api::<Pod>();
        until("the end of a pod", async || {
            let left = answered("read a pod", || pods.get_metadata_opt(pod)).await?;
            Ok(left.is_none().then_some(()))
        })
        .await
    }

    /// The version of its pods now, as a watch would start from.
    pub async fn version_of_pods(&self) -> Result<String> {
        let (pods, one) = (self.api::<Pod>(), ListParams::default().limit(1));
        let list = answered("list the pods", || pods.list_metadata(&one)).await?;
        list.metadata.resource_version.context("a list without a version")
    }

    /// That the pods as of this version can no longer be had.
    pub async fn ensure_forgotten(&self, version: &str) -> Result<()> {
        let as_of = ListParams::default().at(version).matching(VersionMatch::Exact);
        let pods = self.api::<Pod>();
        let answer = asked("list the pods of a former version", || pods.list_metadata(&as_of)).await?;
        let is_gone = answer.is_err_and(|status| status.code == GONE);
        ensure!(is_gone, "the API server still knows the pods as of the version {version}");
        Ok(())
    }
}
