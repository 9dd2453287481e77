//! `kubectl ejob status`.

use anyhow::Result;
use extendedjob_api::RunStatus;

use crate::{
    cluster::{Cluster, status_of},
    runs::{cause, result},
    text::{length, say, seconds, table},
};

pub(crate) async fn show(cluster: &Cluster, name: &str) -> Result<()> {
    let extended_job = cluster.extended_job(name).await?;
    let status = status_of(&extended_job);
    let line = |label: &str, value: String| vec![label.to_owned(), value];
    let mode = status.mode.map(|mode| format!("{mode:?}").to_lowercase()).unwrap_or_default();
    let counts = format!(
        "{} active, {} waiting, {} succeeded, {} failed",
        status.active, status.pending, status.succeeded, status.failed
    );
    let mut rows = vec![line("mode", mode), line("runs", counts)];
    if extended_job.spec.update_on_config_change {
        rows.push(line("config", format!("revision {}", status.config_revision)));
    }
    rows.extend(status.last_run.as_ref().map(|run| line("last run", last(run))));
    for condition in &status.conditions {
        let message =
            if condition.message.is_empty() { String::new() } else { format!(": {}", condition.message) };
        rows.push(line(&condition.type_, format!("{} ({}{message})", condition.status, condition.reason)));
    }
    Ok(say(&table(&rows))?)
}

fn last(run: &RunStatus) -> String {
    let ago = run.start_time.as_ref().map(|start| format!(", {} ago", length(seconds(start, None))));
    let streams = run.streams.map(|streams| format!(", streams {}", streams.name())).unwrap_or_default();
    format!("{} ({}{}), Job {}{streams}", result(run), cause(run), ago.unwrap_or_default(), run.job)
}
