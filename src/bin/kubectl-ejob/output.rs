//! `kubectl ejob output`: what the last run wrote, from the ConfigMaps and Secrets where it is kept.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use extendedjob_api::{OutputResult, OutputStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use crate::{
    args::Stream,
    cluster::{Cluster, status_of},
    text::{print_bytes, say},
};

/// Fails if some of it is not there: an empty output is another thing.
pub(crate) async fn show(cluster: &Cluster, name: &str, stream: Option<Stream>) -> Result<ExitCode> {
    if stream == Some(Stream::Stderr) {
        bail!("stderr is not kept apart yet: what was written to it stands among stdout");
    }
    let extended_job = cluster.extended_job(name).await?;
    if extended_job.spec.output.is_none() {
        bail!("the ExtendedJob {name} keeps no output: it has no spec.output");
    }
    let Some(run) = status_of(&extended_job).last_run else { bail!("no run was started yet") };
    let wanted: Vec<&OutputStatus> = run.outputs.iter().collect();
    if wanted.is_empty() {
        bail!("no output of Job {} is kept (yet): see `kubectl ejob status {name}`", run.job);
    }
    let keys: BTreeSet<&str> = wanted.iter().map(|output| output.key.as_str()).collect();
    let (mut code, mut ends_line) = (ExitCode::SUCCESS, true);
    for output in wanted {
        if keys.len() > 1 {
            let gap = if ends_line { "" } else { "\n" };
            say(&format!("{gap}==> {} <==\n", output.key))?;
            ends_line = true;
        }
        let reason = match output.result {
            OutputResult::Written => {
                let bytes = read(cluster, output).await?;
                print_bytes(&bytes)?;
                ends_line = bytes.is_empty() || bytes.ends_with(b"\n") || stdout().is_terminal();
                continue;
            }
            OutputResult::KeyExists => "not written, because the key was there before",
            OutputResult::Failed => "it could not be written",
            OutputResult::Lost => "lost: the pod was removed before it was read",
        };
        eprintln!("{}: {reason}", output.key);
        code = ExitCode::FAILURE;
    }
    Ok(code)
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
