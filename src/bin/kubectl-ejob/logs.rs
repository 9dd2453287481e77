//! What the pods of a Job write, while they write it.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::AsyncBufReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use crate::{cluster::Cluster, text::print_bytes};

/// Prints the logs of those of the Job's pods that have started and were not followed yet, each until it ends.
pub(crate) async fn follow(cluster: &Cluster, job: &str, followed: &mut BTreeSet<String>) {
    let pods = match cluster.pods(&format!("batch.kubernetes.io/job-name={job}")).await {
        Ok(pods) => pods,
        Err(error) => return eprintln!("{error:#}"),
    };
    for pod in pods.iter().filter(|pod| has_started(pod)) {
        let Some(name) = pod.metadata.name.clone().filter(|name| followed.insert(name.clone())) else {
            continue;
        };
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        for container in containers {
            if let Err(error) = print(cluster, &name, &container.name).await {
                eprintln!(
                    "can't read on in the log of container {} of pod {name}: {error:#}",
                    container.name
                );
            }
        }
    }
}

fn has_started(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Running" | "Succeeded" | "Failed"))
}

async fn print(cluster: &Cluster, pod: &str, container: &str) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let params = LogParams { container: Some(container.to_owned()), follow: true, ..LogParams::default() };
    let mut log = std::pin::pin!(api.log_stream(pod, &params).await?);
    let mut line = vec![];
    // Line by line, for a character may come in two pieces.
    while log.read_until(b'\n', &mut line).await? > 0 {
        print_bytes(&line)?;
        line.clear();
    }
    Ok(())
}
