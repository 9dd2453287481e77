//! The operator crashes at each write of output, in each of its forms. The next one leaves out none and writes none
//! twice.

use anyhow::{Result, ensure};
use crowds::extended_jobs::triggered;
use crowds::namespace::Namespace;
use crowds::patience::{answered, until};
use crowds::pods::Pod;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::crash_points::STAGES;
use crate::stage::Stage;

/// Pods, each with a run that writes: all at once, so that they meet in one object.
const PODS: usize = 3;
/// A form of output.
struct Form {
    name: &'static str,
    /// What a run prints.
    script: &'static str,
    /// What says so in the spec.
    stdout: fn() -> Value,
}

const FORMS: [Form; 3] = [
    Form { name: "keys", script: "echo $POD", stdout: || json!({"key": "{pod}"}) },
    Form { name: "fields", script: r#"echo "{\"$POD\": \"$POD\"}""#, stdout: || json!({"format": "json"}) },
    Form { name: "versions", script: "echo $POD", stdout: || json!({"versioned": true}) },
];

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let is_played = |moment: &str, number, short: bool| !short || (moment == "unanswered" && number == 2);
    let mut all = Vec::new();
    for form in FORMS {
        for moment in STAGES {
            for number in (1..=PODS).filter(|number| is_played(moment, *number, stage.load.is_short())) {
                let name = format!("{}-{moment}-{number}", form.name);
                let pods = crash_at(stage, &name, &format!("output:{moment}:{number}"), &form).await?;
                all.push((name, pods));
            }
        }
    }
    stage.operators.start()?;
    stage.settle().await?;
    for (name, pods) in all {
        let written = written(&stage.namespace, &name).await?;
        ensure!(written == names(&pods), "written of {name}: {written:?}");
    }
    Ok(())
}

async fn crash_at(stage: &mut Stage<'_>, name: &str, failpoint: &str, form: &Form) -> Result<Vec<Pod>> {
    stage.operators.start_to_crash(failpoint)?;
    stage.namespace.create_extended_job(name, writing(name, form)).await?;
    let pods = stage.namespace.create_pods(name, PODS, name).await?;
    stage.expected.one(name, &pods);
    stage.namespace.turn_ready(&pods, 0).await?;
    stage.operators.crashed(failpoint).await?;
    stage.operators.start()?;
    stage.until_all_jobs().await?;
    until(&format!("the output of {name}"), async || {
        let written = written(&stage.namespace, name).await?;
        Ok((written == names(&pods)).then_some(()))
    })
    .await?;
    stage.operators.kill_all().await?;
    Ok(pods)
}

/// What was written for an ExtendedJob, in order.
async fn written(namespace: &Namespace, name: &str) -> Result<Vec<String>> {
    let (config_maps, all) = (namespace.api::<ConfigMap>(), ListParams::default());
    let found = answered("list the ConfigMaps", || config_maps.list(&all)).await?;
    let is_of_it =
        |object: &ConfigMap| object.metadata.name.as_deref().is_some_and(|it| it.starts_with(name));
    let values = found.items.into_iter().filter(is_of_it).flat_map(|object| object.data.unwrap_or_default());
    let mut written: Vec<String> = values.map(|(_, value)| value.trim_end().to_owned()).collect();
    written.sort();
    Ok(written)
}

/// What is to be written: the name of each pod, once.
fn names(pods: &[Pod]) -> Vec<String> {
    let mut names: Vec<String> = pods.iter().map(|pod| pod.name.clone()).collect();
    names.sort();
    names
}

/// An ExtendedJob whose runs really run.
fn writing(name: &str, form: &Form) -> Value {
    let mut stdout = (form.stdout)();
    stdout["configRef"] = json!(name);
    let mut spec = triggered("ready");
    spec["triggers"]["selector"]["matchLabels"]["app"] = json!(name);
    spec["output"] = json!({"stdout": stdout});
    spec["template"]["spec"]["suspend"] = json!(false);
    let field = "metadata.annotations['fissile.cloudfoundry.org/affected-pod-name']";
    let container = &mut spec["template"]["spec"]["template"]["spec"]["containers"][0];
    container["command"] = json!(["sh", "-c", form.script]);
    container["env"] = json!([{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": field}}}]);
    spec
}
