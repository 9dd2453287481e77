//! Everything at once, for long: pods come, turn ready, turn unready and go; an errand is asked for and prints; a one-off
//! follows a ConfigMap; and now and then a leader ends, or the API server does. Each pass, of a minute, is a line of a table.

use std::time::Duration;

use anyhow::{Result, ensure};
use crowds::extended_jobs::{errand, following, running, triggered};
use crowds::jobs_seen::Run;
use crowds::namespace::Namespace;
use crowds::pods::{IN_SELECTOR, Pod};
use crowds::usage::mebibytes;
use futures::try_join;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::config_crashes::set;
use crate::expected::Tally;
use crate::finish::finish_as_they_come;
use crate::stage::Stage;

const TRANSITIONS: [&str; 4] = ["created", "ready", "notready", "deleted"];
/// Pods of a pass, one each second: the rest of a minute is for what is late.
const PODS: u64 = 50;
/// Of the table; the last two are of the present leader, since it was started.
const COLUMNS: [&str; 9] =
    ["minute", "expected", "found", "missing", "double", "outputs", "lost", "memory", "processor"];
const MINUTE: Duration = Duration::from_secs(60);
/// An errand whose runs print, and whose output is stored.
const ERRAND: &str = "errand";
/// A one-off that starts again when its ConfigMap changes.
const FOLLOWING: &str = "following";

/// What happens in some of the minutes.
#[derive(Clone, Copy)]
enum Happening {
    LeaderKilled,
    LeaderAsked,
    ApiServerKilled,
}

impl Happening {
    fn of(minute: u64) -> Option<Self> {
        match (minute % 5, minute / 5 % 4) {
            (0, 1) => Some(Self::LeaderKilled),
            (0, 3) => Some(Self::LeaderAsked),
            (0, _) => Some(Self::ApiServerKilled),
            _ => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::LeaderKilled => "the leader was killed",
            Self::LeaderAsked => "the leader was asked to stop",
            Self::ApiServerKilled => "the API server was killed",
        }
    }
}

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    stage.operators.start()?;
    for when in TRANSITIONS {
        let mut spec = triggered(when);
        spec["successfulRunsHistoryLimit"] = json!(0);
        stage.declare(when, spec).await?;
    }
    set(&stage.namespace, FOLLOWING, "0").await?;
    stage.expected.without_pod(1, FOLLOWING);
    stage.namespace.create_extended_job(FOLLOWING, following(FOLLOWING)).await?;
    stage.namespace.until_revision(FOLLOWING, 0).await?;
    stage.expected.without_pod(1, ERRAND);
    stage.namespace.create_extended_job(ERRAND, printing()).await?;
    stage.namespace.until_completed_and_written(ERRAND, 1).await?;
    let is_parked = |run: &Run| TRANSITIONS.contains(&run.extended_job.as_str());
    let finishing = finish_as_they_come(stage.namespace.clone(), stage.jobs.receiver(), "", is_parked);
    let minutes = async {
        println!("    {}", COLUMNS.map(|title| format!("{title:>9}")).join(" "));
        let mut clock = interval(MINUTE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for minute in 1..=stage.load.time().as_secs() / 60 {
            clock.tick().await;
            pass(stage, minute).await?;
        }
        stage.settle().await
    };
    tokio::select! {
        broken = finishing => match broken? {},
        passed = minutes => passed,
    }
}

async fn pass(stage: &mut Stage<'_>, minute: u64) -> Result<()> {
    stage.outputs.due += 1;
    let crowd: Vec<String> = (0..PODS).map(|number| format!("pod-{minute}-{number}")).collect();
    let Stage { namespace, operators, target, .. } = &mut *stage;
    let (namespace, target) = (namespace.clone(), *target);
    let errand = async {
        namespace.set_to_now(ERRAND).await?;
        let job = namespace.until_completed_and_written(ERRAND, minute + 1).await?;
        let output = namespace.stored_output(ERRAND).await?;
        ensure!(
            output == format!("{job}\n"),
            "of the Job {job} not what it printed is stored, but {output:?}"
        );
        Ok(())
    };
    let change = async {
        set(&namespace, FOLLOWING, &minute.to_string()).await?;
        namespace.until_revision(FOLLOWING, minute).await
    };
    let happening = Happening::of(minute);
    if let Some(Happening::ApiServerKilled) = happening {
        // It has forgotten what was before then: a pod that came and went within that gap nobody could tell of.
        target.kill_and_restart_api_server().await?;
    }
    let ends = async {
        match happening {
            Some(Happening::LeaderKilled) => operators.kill_leader().await?,
            Some(Happening::LeaderAsked) => operators.stop_leader().await?,
            Some(Happening::ApiServerKilled) | None => return Ok(()),
        }
        operators.start()
    };
    let (pods, (), (), ()) = try_join!(live(&namespace, &crowd), errand, change, ends)?;
    stage.outputs.whole += 1;
    for when in TRANSITIONS {
        stage.expected.one(when, &pods);
    }
    for name in [ERRAND, FOLLOWING] {
        stage.expected.without_pod(1, name);
    }
    stage.until_all_jobs().await?;
    let leader = stage.operators.leading_process().await?;
    let Tally { expected, found, missing, double, .. } = stage.tally();
    let outputs = stage.outputs;
    let counts = [minute as usize, expected, found, missing, double, outputs.due, outputs.lost()];
    let counts = counts.map(|count| format!("{count:>9}"));
    let memory = format!("{:>9}", mebibytes(leader.memory()?));
    let processor = format!("{:>7.1} s", leader.processor()?.as_secs_f64());
    let words = happening.map_or("", Happening::words);
    println!("    {} {memory} {processor} {words}", counts.join(" "));
    Ok(())
}

/// Each of these pods comes and goes.
async fn live(namespace: &Namespace, names: &[String]) -> Result<Vec<Pod>> {
    let mut pace = interval(Duration::from_secs(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut pods = Vec::new();
    for name in names {
        pace.tick().await;
        let pod = namespace.create_pod(name.clone(), IN_SELECTOR).await?;
        let alone = std::slice::from_ref(&pod);
        namespace.turn_ready(alone, 0).await?;
        namespace.turn_unready(alone, 1).await?;
        namespace.delete_pods(alone).await?;
        pods.push(pod);
    }
    Ok(pods)
}

/// An errand whose runs print the names of their Jobs, which are stored.
fn printing() -> Value {
    let mut spec = running(errand(), json!(["sh", "-c", "echo $JOB; sleep 2"]));
    let name = json!({"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}});
    spec["template"]["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "JOB", "valueFrom": name}]);
    spec["output"] = json!({"stdout": {"configRef": ERRAND, "overwrite": true}});
    spec
}
