//! `kubectl ejob why`: what it waits for, what would start it, and which pods match.

use anyhow::Result;
use extendedjob_actors::Used;
use extendedjob_api::{ExtendedJob, Operator, Run, RunResult, Selector, When};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    cluster::{Cluster, status_of},
    text::{say, table},
};

/// More would not be read.
const PODS: usize = 20;

pub(crate) async fn show(cluster: &Cluster, name: &str) -> Result<()> {
    let extended_job = cluster.extended_job(name).await?;
    let status = status_of(&extended_job);
    let mut lines = vec![starter(&extended_job)];
    lines.extend(restarter(&extended_job));
    lines.push(match status.conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) => format!("Ready is {}, {}: {}", ready.status, ready.reason, ready.message),
        None => "The operator has not seen it yet: is it running?".to_owned(),
    });
    if status.pending > 0 {
        lines.push(format!("Runs that wait: {}; under way: {}.", status.pending, status.active));
    }
    for run in status.runs.iter().filter(|run| run.result == Some(RunResult::Running)) {
        lines.extend(held_up(cluster, &run.job).await?);
    }
    if let Some(triggers) = &extended_job.spec.triggers {
        let selector = triggers.selector.as_ref().map(query).unwrap_or_default();
        lines.push(pods(&cluster.pods(&selector).await?, &selector));
    }
    Ok(say(&(lines.join("\n") + "\n"))?)
}

/// Why pods of a Job that is under way do not run, such as for an image that can't be pulled.
pub(crate) async fn held_up(cluster: &Cluster, job: &str) -> Result<Vec<String>> {
    let pods = cluster.pods(&format!("batch.kubernetes.io/job-name={job}")).await?;
    Ok(pods.iter().filter_map(waits_for).collect())
}

fn waits_for(pod: &Pod) -> Option<String> {
    let (name, status) = (pod.metadata.name.as_ref()?, pod.status.as_ref()?);
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut waiting = containers.filter_map(|it| Some((&it.name, it.state.as_ref()?.waiting.as_ref()?)));
    // A container waits for those before it, and is being made, without anything being wrong.
    let is_held_up = |reason: &str| !matches!(reason, "ContainerCreating" | "PodInitializing");
    let container = waiting.find_map(|(container, state)| {
        let reason = state.reason.as_ref().filter(|reason| is_held_up(reason))?;
        let message = state.message.as_deref().unwrap_or_default();
        Some(format!("Container {container} of pod {name} waits: {reason}: {message}"))
    });
    let unscheduled = status.conditions.iter().flatten();
    let unscheduled = unscheduled.filter(|it| it.type_ == "PodScheduled" && it.status == "False");
    let mut pod = unscheduled.map(|it| {
        let (reason, message) = (it.reason.as_deref(), it.message.as_deref());
        format!("Pod {name} has no node: {}: {}", reason.unwrap_or_default(), message.unwrap_or_default())
    });
    container.or_else(|| pod.next())
}

/// What would start a run.
fn starter(extended_job: &ExtendedJob) -> String {
    let spec = &extended_job.spec;
    if spec.suspend {
        return "It is suspended: no run starts until spec.suspend is false.".to_owned();
    }
    match (&spec.triggers, spec.run) {
        (Some(triggers), _) => {
            let what = match triggers.when {
                When::Created => "is created",
                When::Ready => "becomes ready",
                When::NotReady => "ceases to be ready",
                When::Deleted => "is deleted",
            };
            format!("A run starts for each matching pod that {what}.")
        }
        (None, Some(Run::Once)) => {
            "It runs once, when it is created, and again for each new value of the annotation run-requested-at."
                .to_owned()
        }
        (None, Some(Run::Now)) => "A run was asked for: run is set to now.".to_owned(),
        (None, _) => "A run starts when run is set to now (kubectl ejob run).".to_owned(),
    }
}

/// What would have runs start again.
fn restarter(extended_job: &ExtendedJob) -> Option<String> {
    let spec = Some(&extended_job.spec).filter(|spec| spec.update_on_config_change)?;
    let Used { used, written } =
        Used::by(spec, extended_job.metadata.namespace.as_deref().unwrap_or_default());
    let left_out = match &written[..] {
        [] => String::new(),
        written => format!(", but not when {} does, which it writes itself", written.join(", ")),
    };
    Some(match &used[..] {
        [] => format!("It uses no ConfigMap or Secret whose changes would have runs start again{left_out}."),
        used => format!("Runs start again when {} changes{left_out}.", used.join(", ")),
    })
}

/// The selector as the API server takes it.
fn query(selector: &Selector) -> String {
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().map(|expression| {
        let (key, values) = (&expression.key, expression.values.join(","));
        match expression.operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            Operator::Exists => key.clone(),
            Operator::DoesNotExist => format!("!{key}"),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

fn pods(pods: &[Pod], selector: &str) -> String {
    let selector = if selector.is_empty() { "any labels" } else { selector };
    let mut shown = format!("Pods that match now ({selector}): {}", pods.len());
    let mut rows = vec![["POD", "READY", "SINCE"].map(str::to_owned).to_vec()];
    for pod in pods.iter().take(PODS) {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let ready = conditions.and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
        let since =
            ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0.to_string());
        rows.push(vec![
            pod.metadata.name.clone().unwrap_or_default(),
            ready.map_or_else(|| "-".to_owned(), |ready| ready.status.clone()),
            since.unwrap_or_default(),
        ]);
    }
    if !pods.is_empty() {
        shown += &format!("\n{}", table(&rows).trim_end());
    }
    if pods.len() > PODS {
        shown += &format!("\n… and {} more", pods.len() - PODS);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_as_the_api_server_takes_it() {
        let selector = serde_json::from_value(serde_json::json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "old", "operator": "DoesNotExist" },
            ],
        }));
        assert_eq!(query(&selector.unwrap()), "app=web,tier in (a,b),!old");
    }
}
