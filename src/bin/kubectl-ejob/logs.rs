//! What the pods of a Job write, while they write it.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::{AsyncBufReadExt, future::join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use crate::{
    cluster::Cluster,
    text::{print_bytes, say},
};

/// Prints the logs of those of the Job's pods that have started and were not followed yet, each until it ends. Fails if
/// nobody reads on.
pub(crate) async fn follow(cluster: &Cluster, job: &str, followed: &mut BTreeSet<String>) -> Result<()> {
    let pods = match cluster.pods(&format!("batch.kubernetes.io/job-name={job}")).await {
        Ok(pods) => pods,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(());
        }
    };
    let mut logs = vec![];
    for pod in pods.iter().filter(|pod| has_started(pod)) {
        let Some(name) = pod.metadata.name.clone().filter(|name| followed.insert(name.clone())) else {
            continue;
        };
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let containers: Vec<&String> = containers.map(|container| &container.name).collect();
        for container in &containers {
            let prefix = if containers.len() > 1 { format!("[{container}] ") } else { String::new() };
            logs.push(print(cluster, name.clone(), (*container).clone(), prefix));
        }
    }
    join_all(logs).await.into_iter().collect()
}

fn has_started(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Running" | "Succeeded" | "Failed"))
}

/// Each line with this prefix, for those of several containers come as they are written.
async fn print(cluster: &Cluster, pod: String, container: String, prefix: String) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let params = LogParams { container: Some(container.clone()), follow: true, ..LogParams::default() };
    let complain = |error: &dyn std::fmt::Display| {
        eprintln!("can't read on in the log of container {container} of pod {pod}: {error}");
    };
    let log = match api.log_stream(&pod, &params).await {
        Ok(log) => log,
        Err(error) => {
            complain(&error);
            return Ok(());
        }
    };
    let mut log = std::pin::pin!(log);
    let mut line = vec![];
    loop {
        line.clear();
        // Line by line, for a character may come in two pieces.
        match log.read_until(b'\n', &mut line).await {
            Ok(0) => return Ok(()),
            Err(error) => {
                complain(&error);
                return Ok(());
            }
            Ok(_) => {
                say(&prefix)?;
                print_bytes(&line)?;
            }
        }
    }
}
