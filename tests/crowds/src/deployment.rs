//! The installed operator, which rests while the storms run operators of their own.

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::names::OPERATOR;
use crate::patience::{answered, until};

/// The Deployment, scaled to nothing.
pub(crate) struct Resting {
    client: Client,
    /// What it was scaled to.
    replicas: i32,
}

impl Resting {
    /// Scales it to nothing, and waits until none of its pods is left.
    pub(crate) async fn begin(client: &Client) -> Result<Self> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPERATOR);
        let deployment = answered("read the operator's Deployment", || deployments.get(OPERATOR)).await?;
        let replicas = deployment.spec.replicas.context("a Deployment without a size")?;
        scale(client, 0).await?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR);
        let of_operator = ListParams::default().labels(&format!("app.kubernetes.io/name={OPERATOR}"));
        until("the end of the operator's pods", async || {
            let pods = answered("list the operator's pods", || pods.list(&of_operator)).await?;
            Ok(pods.items.is_empty().then_some(()))
        })
        .await?;
        Ok(Self { client: client.clone(), replicas })
    }

    /// Lets it run again.
    pub(crate) async fn end(&self) -> Result<()> {
        scale(&self.client, self.replicas).await
    }
}

async fn scale(client: &Client, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPERATOR);
    let (params, patch) = (PatchParams::default(), Patch::Merge(json!({"spec": {"replicas": replicas}})));
    let scaled = answered("scale the operator's Deployment", || deployments.patch(OPERATOR, &params, &patch));
    scaled.await.map(drop)
}
