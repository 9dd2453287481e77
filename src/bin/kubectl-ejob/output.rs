//! `kubectl ejob output`: what the last run wrote, from the ConfigMaps and Secrets where it is kept.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use extendedjob_api::{OutputResult, OutputStatus, Stream as Kept};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use crate::{
    args::Stream,
    cluster::{Cluster, status_of},
    text::print_bytes,
};

pub(crate) async fn show(cluster: &Cluster, name: &str, stream: Option<Stream>) -> Result<()> {
    let extended_job = cluster.extended_job(name).await?;
    if extended_job.spec.output.is_none() {
        bail!("the ExtendedJob {name} keeps no output: it has no spec.output");
    }
    let Some(run) = status_of(&extended_job).last_run else { bail!("no run was started yet") };
    let is_wanted = |output: &&OutputStatus| match (stream, output.stream) {
        (None | Some(Stream::Stdout), Kept::Stdout) => true,
        (Some(Stream::Stderr), Kept::Stdout) => false,
    };
    let wanted: Vec<&OutputStatus> = run.outputs.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        bail!("no output of Job {} is kept (yet): see `kubectl ejob status {name}`", run.job);
    }
    let keys: BTreeSet<&str> = wanted.iter().map(|output| output.key.as_str()).collect();
    for output in wanted {
        if keys.len() > 1 {
            println!("==> {} <==", output.key);
        }
        match output.result {
            OutputResult::Written => print_bytes(&read(cluster, output).await?)?,
            OutputResult::KeyExists => {
                eprintln!("{}: not written, because the key was there before", output.key)
            }
            OutputResult::Failed | OutputResult::Lost => eprintln!("{}: {:?}", output.key, output.result),
        }
    }
    Ok(())
}

async fn read(cluster: &Cluster, output: &OutputStatus) -> Result<Vec<u8>> {
    let OutputStatus { target, key, .. } = output;
    let parts = target.split_once(' ').and_then(|(kind, name)| Some((kind, name.split_once('/')?)));
    let Some((kind, (namespace, name))) = parts else {
        bail!("can't understand where the output is: {target}")
    };
    let error = || format!("can't read {target}");
    let value = if kind == "Secret" {
        let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
        let secret = secrets.get(name).await.with_context(error)?;
        secret.data.and_then(|mut data| data.remove(key)).map(|value| value.0)
    } else {
        let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
        let ConfigMap { data, binary_data, .. } = config_maps.get(name).await.with_context(error)?;
        let text = data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
        text.or_else(|| binary_data.and_then(|mut data| data.remove(key)).map(|value| value.0))
    };
    value.with_context(|| format!("{target} no longer has the key {key}"))
}
