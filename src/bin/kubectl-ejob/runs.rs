//! `kubectl ejob runs`: a table, or bars on a time axis.

use anyhow::Result;
use extendedjob_api::{CauseType, RunResult, RunStatus};
use k8s_openapi::jiff::Timestamp;

use crate::{
    cluster::{Cluster, status_of},
    text::{length, say, seconds, table},
};

/// Characters of the time axis.
const WIDTH: usize = 50;

pub(crate) async fn show(cluster: &Cluster, name: &str, timeline: bool) -> Result<()> {
    let runs = status_of(&cluster.extended_job(name).await?).runs;
    let shown = match (runs.is_empty(), timeline) {
        (true, _) => "no run was started yet\n".to_owned(),
        (false, true) => drawn(&runs, Timestamp::now()),
        (false, false) => listed(&runs),
    };
    Ok(say(&shown)?)
}

fn listed(runs: &[RunStatus]) -> String {
    let headings = ["JOB", "CAUSE", "RESULT", "ATTEMPTS", "EXIT", "DURATION", "AGE"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    for run in runs {
        let start = run.start_time.as_ref();
        let duration = start.map(|start| length(seconds(start, run.completion_time.as_ref())));
        let ended = run.completion_time.is_some() || run.result == Some(RunResult::Running);
        rows.push(vec![
            run.job.clone(),
            cause(run),
            result(run).to_owned(),
            run.attempts.to_string(),
            exit(run),
            duration.filter(|_| ended).unwrap_or_default(),
            start.map(|start| length(seconds(start, None))).unwrap_or_default(),
        ]);
    }
    table(&rows)
}

/// One row for each run, the oldest first: when it ran, and why.
fn drawn(runs: &[RunStatus], now: Timestamp) -> String {
    let begin = |run: &RunStatus| run.start_time.as_ref().map(|time| time.0.as_second());
    // Of one whose Job was deleted nobody knows when it ended.
    let last_known = |run: &RunStatus| if run.result == Some(RunResult::Deleted) { begin(run) } else { None };
    let end = |run: &RunStatus| match &run.completion_time {
        Some(time) => time.0.as_second(),
        None => last_known(run).unwrap_or(now.as_second()),
    };
    let first = runs.iter().filter_map(begin).min().unwrap_or_default();
    let last = runs.iter().map(end).max().unwrap_or_default().max(first + 1);
    let place = |second: i64| {
        let share = (second - first).max(0) as usize * (WIDTH - 1) / (last - first) as usize;
        share.min(WIDTH - 1)
    };
    let mut rows = vec![];
    for run in runs.iter().rev() {
        let (from, to) = (place(begin(run).unwrap_or(first)), place(end(run)));
        let mark = match run.result {
            Some(RunResult::Succeeded) => "█",
            Some(RunResult::Running) => "▒",
            _ => "×",
        };
        let bar = format!("{}{}{}", " ".repeat(from), mark.repeat(to - from + 1), " ".repeat(WIDTH - 1 - to));
        rows.push(vec![format!("│{bar}│"), result(run).to_owned(), cause(run)]);
    }
    let at = |second: i64| Timestamp::from_second(second).map(|time| time.to_string()).unwrap_or_default();
    format!("{}{} … {} ({})\n", table(&rows), at(first), at(last), length(last - first))
}

/// What started a run, in a word and a name.
pub(crate) fn cause(run: &RunStatus) -> String {
    let what = match run.cause.r#type {
        CauseType::Ready => "ready",
        CauseType::NotReady => "notready",
        CauseType::Created => "created",
        CauseType::Deleted => "deleted",
        CauseType::Once => "once",
        CauseType::Manual => "asked for",
        CauseType::ConfigChanged => "config",
    };
    match (&run.cause.object, &run.cause.pod) {
        (Some(object), Some(pod)) => format!("{what}: {object} (for {pod})"),
        (Some(of), None) | (None, Some(of)) => format!("{what}: {of}"),
        (None, None) => what.to_owned(),
    }
}

pub(crate) fn result(run: &RunStatus) -> &'static str {
    run.result.unwrap_or(RunResult::Running).name()
}

/// The exit codes of the containers that did not succeed.
fn exit(run: &RunStatus) -> String {
    let failed = run.containers.iter().filter(|container| container.exit_code != 0);
    let failed: Vec<String> =
        failed.map(|it| format!("{} {} ({})", it.name, it.exit_code, it.reason)).collect();
    if failed.is_empty() && !run.containers.is_empty() { "0".to_owned() } else { failed.join(", ") }
}

/// The exit code that stands for a run: the highest of its containers; `None` where none of them tells that it failed,
/// as of one that met its deadline.
pub(crate) fn exit_code(run: &RunStatus) -> Option<u8> {
    if run.result == Some(RunResult::Succeeded) {
        return Some(0);
    }
    let codes = run.containers.iter().filter_map(|container| u8::try_from(container.exit_code).ok());
    codes.max().filter(|code| *code > 0 && run.result == Some(RunResult::Failed))
}

#[cfg(test)]
mod tests {
    use extendedjob_api::{Cause, ContainerEnd};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn run(job: &str, from: i64, to: Option<i64>, result: RunResult) -> RunStatus {
        let cause =
            Cause { r#type: CauseType::Ready, pod: Some(format!("pod-{job}")), object: None, time: None };
        RunStatus {
            job: job.into(),
            number: 0,
            cause,
            start_time: Some(Time(at(from))),
            completion_time: to.map(|to| Time(at(to))),
            result: Some(result),
            attempts: 1,
            containers: vec![],
            outputs: vec![],
            output_settled: false,
            streams: None,
        }
    }

    #[test]
    fn bars_stand_where_the_runs_were() {
        let runs = [
            run("c", 90, None, RunResult::Running),
            run("b", 50, Some(60), RunResult::Failed),
            run("a", 0, Some(49), RunResult::Succeeded),
        ];
        let drawn = drawn(&runs, at(100));
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[0].starts_with("│█████") && lines[0].ends_with("Succeeded   ready: pod-a"), "{drawn}");
        assert!(lines[1].contains("  ×××××"), "{drawn}");
        assert!(lines[2].contains("▒▒▒▒▒▒│"), "{drawn}");
        assert!(lines.iter().take(3).all(|line| line.chars().nth(WIDTH + 1) == Some('│')), "{drawn}");
    }

    #[test]
    fn a_failed_run_never_has_the_exit_code_0() {
        let mut failed = run("a", 0, Some(1), RunResult::Failed);
        assert_eq!(exit_code(&failed), None);
        failed.containers = vec![ContainerEnd { name: "c".into(), exit_code: 42, reason: "Error".into() }];
        assert_eq!(exit_code(&failed), Some(42));
        assert_eq!(exit_code(&RunStatus { result: Some(RunResult::Deleted), ..failed }), None);
        assert_eq!(exit_code(&run("a", 0, Some(1), RunResult::Succeeded)), Some(0));
    }
}
