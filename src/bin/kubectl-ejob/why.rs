//! `kubectl ejob why`: what it waits for, what would start it, and which pods match.

use anyhow::Result;
use extendedjob_api::{ExtendedJob, Operator, Run, Selector, When};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    cluster::{Cluster, status_of},
    text::table,
};

/// More would not be read.
const PODS: usize = 20;

pub(crate) async fn show(cluster: &Cluster, name: &str) -> Result<()> {
    let extended_job = cluster.extended_job(name).await?;
    let status = status_of(&extended_job);
    println!("{}", starter(&extended_job));
    match status.conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) => println!("Ready is {}, {}: {}", ready.status, ready.reason, ready.message),
        None => println!("The operator has not seen it yet: is it running?"),
    }
    if status.pending > 0 {
        println!("Runs that wait: {}; under way: {}.", status.pending, status.active);
    }
    if let Some(triggers) = &extended_job.spec.triggers {
        let selector = triggers.selector.as_ref().map(query).unwrap_or_default();
        pods(&cluster.pods(&selector).await?, &selector);
    }
    Ok(())
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

fn pods(pods: &[Pod], selector: &str) {
    let selector = if selector.is_empty() { "any labels" } else { selector };
    println!("Pods that match now ({selector}): {}", pods.len());
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
        print!("{}", table(&rows));
    }
    if pods.len() > PODS {
        println!("… and {} more", pods.len() - PODS);
    }
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
