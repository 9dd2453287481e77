//! `kubectl ejob run`: asks for a run, and waits for it if told to.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use extendedjob_api::{ExtendedJob, Run as Start, RunStatus, conditions::reasons, names};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    args::Run,
    cluster::{Cluster, status_of},
    logs,
    runs::{cause, exit_code, result},
    text::{is_unread, say},
    why,
};

/// How often it is looked whether the run is over.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// The exit code where that of the run is not known.
const UNKNOWN: u8 = 125;

/// What was asked for, by which its run is known.
enum Asked {
    /// The run of this number.
    Number(i64),
    /// The run that answers this value of the annotation.
    Value(String),
}

pub(crate) async fn run(cluster: &Cluster, how: &Run) -> Result<ExitCode> {
    let mut asked = ask(cluster, &how.name).await?;
    if !(how.wait || how.logs || how.timeout.is_some()) {
        say(&format!("{}: a run is asked for\n", how.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    let waiting = wait(cluster, how, &mut asked);
    let run = match how.timeout {
        None => waiting.await,
        Some(time) => match timeout(time, waiting).await {
            Ok(run) => run,
            Err(_) => Err(anyhow!("not over after {time:?}{}", still(cluster, &how.name).await)),
        },
    };
    match run {
        Ok(run) => {
            eprintln!("{}: {} ({})", run.job, result(&run), cause(&run));
            Ok(ExitCode::from(exit_code(&run).unwrap_or(UNKNOWN)))
        }
        Err(reason) if is_unread(&reason) => Err(reason),
        Err(reason) => {
            eprintln!("error: {reason:#}");
            Ok(ExitCode::from(UNKNOWN))
        }
    }
}

/// What keeps the newest run, as far as its pods tell.
async fn still(cluster: &Cluster, name: &str) -> String {
    let Ok(Some(extended_job)) = cluster.look(name).await else { return String::new() };
    let Some(run) = status_of(&extended_job).runs.into_iter().next() else { return String::new() };
    let held_up = why::held_up(cluster, &run.job).await.unwrap_or_default();
    held_up.into_iter().map(|line| format!("\n{line}")).collect()
}

async fn ask(cluster: &Cluster, name: &str) -> Result<Asked> {
    loop {
        let read = cluster.extended_job(name).await?;
        // Someone may have changed it in between: what is asked for then depends on what it is like now.
        if let Some(asked) = ask_once(cluster, name, &read).await? {
            if read.spec.suspend {
                eprintln!("{name}: it is suspended; the run starts when spec.suspend is false");
            }
            return Ok(asked);
        }
    }
}

async fn ask_once(cluster: &Cluster, name: &str, read: &ExtendedJob) -> Result<Option<Asked>> {
    let status = status_of(read);
    let is_open = status.completed_run_number < status.run_number;
    let number = if is_open { status.run_number } else { status.run_number + 1 };
    let patched = match read.spec.run {
        None => bail!("pods start the runs of {name} (spec.triggers): it can't be asked for one"),
        Some(Start::Now) => {
            eprintln!("{name}: a run was asked for already; it is that one");
            return Ok(Some(Asked::Number(number)));
        }
        Some(Start::Manually) => {
            if is_open {
                eprintln!("{name}: a run is under way; it is that one");
            }
            let patched = cluster.patch(read, json!({ "spec": { "run": Start::Now } })).await?;
            patched.map(|_| Asked::Number(number))
        }
        Some(Start::Once) => {
            let value = Timestamp::now().to_string();
            let annotations = json!({ names::RUN_REQUESTED_AT: value });
            let patched = cluster.patch(read, json!({ "metadata": { "annotations": annotations } })).await?;
            patched.map(|_| Asked::Value(value))
        }
    };
    Ok(patched)
}

/// Waits until the run is over, and gives it.
async fn wait(cluster: &Cluster, how: &Run, asked: &mut Asked) -> Result<RunStatus> {
    let mut told = String::new();
    let mut followed = BTreeSet::new();
    loop {
        // An API server that is not there for a while is no reason to give up.
        let Some(extended_job) = cluster.look(&how.name).await? else {
            sleep(INTERVAL).await;
            continue;
        };
        let status = status_of(&extended_job);
        if let Asked::Value(value) = asked
            && status.last_handled_run_at.as_ref() == Some(value)
        {
            *asked = Asked::Number(status.run_number);
        }
        if is_taken_back(&extended_job, asked) {
            bail!("someone has taken the request back, or asked for something else, before it was accepted");
        }
        if let Asked::Number(number) = asked {
            let run = status.runs.iter().find(|run| run.number == *number);
            let uid = extended_job.metadata.uid.as_deref().unwrap_or_default();
            if let Some(run) = run.filter(|_| how.logs) {
                logs::follow(cluster, uid, &run.job, &mut followed).await?;
            }
            if status.completed_run_number >= *number {
                return run.cloned().context("the run is over, and no longer among the newest");
            }
        }
        let waits_for = obstacle(&extended_job).unwrap_or_default();
        if waits_for != told && !waits_for.is_empty() {
            eprintln!("{}: {waits_for}", how.name);
        }
        told = waits_for;
        sleep(INTERVAL).await;
    }
}

fn is_taken_back(extended_job: &ExtendedJob, asked: &Asked) -> bool {
    match asked {
        Asked::Number(number) => {
            let is_accepted = status_of(extended_job).run_number >= *number;
            !is_accepted && extended_job.spec.run == Some(Start::Manually)
        }
        Asked::Value(value) => {
            let annotations = extended_job.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get(names::RUN_REQUESTED_AT)) != Some(value)
        }
    }
}

/// What stands in the way, if anything does.
fn obstacle(extended_job: &ExtendedJob) -> Option<String> {
    let status = status_of(extended_job);
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    // Of a suspension was told when it was asked.
    let is_known =
        matches!(ready.reason.as_str(), reasons::JOB_FAILED | reasons::DELETED | reasons::SUSPENDED);
    (ready.status != "True" && !is_known).then(|| format!("{}: {}", ready.reason, ready.message))
}
