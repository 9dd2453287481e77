//! What happens to the API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, VersionMatch};
use local_cluster::Cluster;
use tokio::time::sleep;

use crate::namespace::Namespace;
use crate::patience::{answered, asked};
use crate::target::Target;

/// The HTTP status for a version that is forgotten.
const GONE: u16 = 410;

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
