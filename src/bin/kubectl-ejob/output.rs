//! `kubectl ejob output`: what a run wrote, from the ConfigMaps and Secrets where it is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use extendedjob_api::{
    ExtendedJob, OutputResult, OutputStatus, Stream as Kept, Target, TargetKind, names::output_annotation,
};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Api;

use crate::{
    args::Stream,
    cluster::{Cluster, plain, status_of},
    text::{print_bytes, say},
};

/// How the keys of JSON output are told in a status.
const ALL_FIELDS: &str = "*";

/// Fails if some of it is not there: an empty output is another thing.
pub(crate) async fn show(
    cluster: &Cluster,
    name: &str,
    stream: Option<Stream>,
    version: Option<u64>,
) -> Result<ExitCode> {
    let extended_job = cluster.extended_job(name).await?;
    if extended_job.spec.output.is_none() {
        bail!("the ExtendedJob {name} keeps no output: it has no spec.output");
    }
    let mut printer = Printer::default();
    if let Some(version) = version {
        let mut values = vec![];
        for target in version_of(&extended_job, &cluster.namespace, version, stream)? {
            values.extend(Stored::read(cluster, &target).await?.values);
        }
        printer.has_several = values.len() > 1;
        values.iter().try_for_each(|(key, value)| printer.print(key, value))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(run) = status_of(&extended_job).last_run else { bail!("no run was started yet") };
    let mut outputs: Vec<&OutputStatus> =
        run.outputs.iter().filter(|output| is_wanted(output, stream)).collect();
    outputs.sort_by_key(|output| &output.key);
    if outputs.is_empty() {
        bail!("no such output of Job {} is kept (yet): see `kubectl ejob status {name}`", run.job);
    }
    // The name of a log says so itself, unless one stream was asked for.
    if outputs.iter().any(|it| it.merged && (stream.is_some() || it.stream != Kept::Log)) {
        eprintln!("stdout and stderr were not told apart: this is the log, with both");
    }
    let mut code = ExitCode::SUCCESS;
    let keys: BTreeSet<&str> = outputs.iter().map(|output| output.key.as_str()).collect();
    printer.has_several = keys.len() > 1 || keys.contains(ALL_FIELDS);
    for OutputStatus { target, key, result, .. } in outputs {
        let reason = match result {
            OutputResult::Written => {
                let stored = Stored::read(cluster, &parsed(target)?).await?;
                for (key, value) in stored.of(target, key, &run.job)? {
                    printer.print(key, value)?;
                }
                continue;
            }
            OutputResult::KeyExists => "not written, because the key was there before",
            OutputResult::Failed => "it could not be written",
            OutputResult::Lost => "lost: the pod was removed before it was read",
        };
        eprintln!("{key}: {reason}");
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn is_wanted(output: &OutputStatus, stream: Option<Stream>) -> bool {
    match stream {
        None => true,
        Some(Stream::Stdout) => output.stream != Kept::Stderr,
        Some(Stream::Stderr) => output.stream != Kept::Stdout,
    }
}

/// The objects that a run has made, one for each stream or one for both.
fn version_of(
    extended_job: &ExtendedJob,
    namespace: &str,
    version: u64,
    stream: Option<Stream>,
) -> Result<BTreeSet<Target>> {
    let streams = extended_job.spec.output.iter().flat_map(|output| output.streams());
    let wanted = streams.filter(|(kept, output)| {
        let is_wanted = match stream {
            None => true,
            Some(Stream::Stdout) => *kept == Kept::Stdout,
            Some(Stream::Stderr) => *kept == Kept::Stderr,
        };
        output.versioned && is_wanted
    });
    let targets: BTreeSet<Target> = wanted.filter_map(|(_, output)| output.target(namespace)).collect();
    if targets.is_empty() {
        bail!("there are no versions: versioned is not true in spec.output")
    }
    Ok(targets.into_iter().map(|it| Target { name: format!("{}-v{version}", it.name), ..it }).collect())
}

/// The object that a status names.
fn parsed(text: &str) -> Result<Target> {
    let parts = text.split_once(' ').and_then(|(kind, name)| Some((kind, name.split_once('/')?)));
    let Some((kind, (namespace, name))) = parts else {
        bail!("can't understand where the output is: {text}")
    };
    let kind = if kind == "Secret" { TargetKind::Secret } else { TargetKind::ConfigMap };
    Ok(Target { kind, namespace: namespace.to_owned(), name: name.to_owned() })
}

/// What an object holds.
struct Stored {
    values: BTreeMap<String, Vec<u8>>,
    metadata: ObjectMeta,
}

impl Stored {
    async fn read(cluster: &Cluster, target: &Target) -> Result<Self> {
        let Target { kind, namespace, name } = target;
        let error = || format!("can't read {target}");
        match kind {
            TargetKind::Secret => {
                let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
                let Secret { metadata, data, .. } =
                    secrets.get(name).await.map_err(plain).with_context(error)?;
                let values = data.into_iter().flatten().map(|(key, value)| (key, value.0));
                Ok(Self { values: values.collect(), metadata })
            }
            TargetKind::ConfigMap => {
                let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
                let ConfigMap { metadata, data, binary_data, .. } =
                    config_maps.get(name).await.map_err(plain).with_context(error)?;
                let text = data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
                let binary = binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
                Ok(Self { values: text.chain(binary).collect(), metadata })
            }
        }
    }

    /// The value of a key, or of all keys that the Job has written.
    fn of(&self, target: &str, key: &str, job: &str) -> Result<Vec<(&String, &Vec<u8>)>> {
        if key != ALL_FIELDS {
            let value = self.values.get_key_value(key);
            return value
                .map(|value| vec![value])
                .with_context(|| format!("{target} no longer has the key {key}"));
        }
        let annotations = self.metadata.annotations.as_ref();
        let writer = |key: &str| -> Option<String> {
            let record: serde_json::Value =
                serde_json::from_str(annotations?.get(&output_annotation(key))?).ok()?;
            Some(record["job"].as_str()?.to_owned())
        };
        Ok(self.values.iter().filter(|(key, _)| writer(key).as_deref() == Some(job)).collect())
    }
}

/// Puts one value below the other, with headings if there are several.
#[derive(Default)]
struct Printer {
    has_several: bool,
    is_within_line: bool,
}

impl Printer {
    fn print(&mut self, key: &str, value: &[u8]) -> Result<()> {
        if self.has_several {
            let gap = if self.is_within_line { "\n" } else { "" };
            say(&format!("{gap}==> {key} <==\n"))?;
        }
        print_bytes(value)?;
        self.is_within_line = !(value.is_empty() || value.ends_with(b"\n") || stdout().is_terminal());
        Ok(())
    }
}
