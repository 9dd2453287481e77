//! The storms, each with what the rules promise for it.

mod burst;
mod config_crashes;
mod crash_points;
mod downtime;
mod idle_restart;
mod leaders;
mod logs;
mod output_crashes;
mod queue;
mod request_crashes;
mod secrets;
mod stopped_leader;

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;

use crate::stage::Stage;

/// A storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// All pods become ready at once
    Burst,
    /// The same, and the operator is killed in the middle
    KillInBurst,
    /// Pods of all kinds change while no operator runs
    Downtime,
    /// The same, and the API server can't tell what happened in between
    #[value(name = "downtime-410")]
    Downtime410,
    /// The operator crashes before and after each kind of write, and before its answer
    CrashPoints,
    /// The same at each step of an errand
    RequestCrashes,
    /// The same at each write of output
    OutputCrashes,
    /// The same at each step by which a run is replaced when configuration changes
    ConfigCrashes,
    /// Runs wait for each other, and the operator is killed while they do
    Queue,
    /// One leader after the other is killed
    Leaders,
    /// One leader after the other is asked to stop
    Handovers,
    /// A leader stands still while another leads, and goes on
    StoppedLeader,
    /// The API server is killed in the middle of a burst
    Apiserver,
    /// A log of 2 GiB is followed, and its cost measured
    LongLog,
    /// 500 logs are followed, and their cost measured
    ManyLogs,
    /// An operator starts where nothing has changed
    IdleRestart,
    /// Beside the one Secret that is used there are 10,000 large ones, and their cost is measured
    ManySecrets,
}

impl Scenario {
    /// All of them, or those that take seconds.
    pub(crate) fn all(short: bool) -> Vec<Self> {
        // A Lease has to run out in the second.
        let takes_long = |scenario: &Self| {
            use Scenario::{Handovers, LongLog, ManyLogs, ManySecrets, StoppedLeader};
            matches!(scenario, Handovers | StoppedLeader | LongLog | ManyLogs | ManySecrets)
        };
        Self::value_variants().iter().copied().filter(|scenario| !(short && takes_long(scenario))).collect()
    }

    /// Plays it to its end.
    pub(crate) async fn play(self, stage: &mut Stage<'_>) -> Result<()> {
        match self {
            Self::Burst => burst::undisturbed(stage).await,
            Self::KillInBurst => burst::with_a_killed_operator(stage).await,
            Self::Downtime => downtime::with_a_resumed_watch(stage).await,
            Self::Downtime410 => downtime::with_a_gap(stage).await,
            Self::CrashPoints => crash_points::play(stage).await,
            Self::RequestCrashes => request_crashes::play(stage).await,
            Self::OutputCrashes => output_crashes::play(stage).await,
            Self::ConfigCrashes => config_crashes::play(stage).await,
            Self::Queue => queue::play(stage).await,
            Self::Leaders => leaders::killed(stage).await,
            Self::Handovers => leaders::asked_to_stop(stage).await,
            Self::StoppedLeader => stopped_leader::play(stage).await,
            Self::Apiserver => burst::with_a_killed_api_server(stage).await,
            Self::LongLog => logs::one_long(stage).await,
            Self::ManyLogs => logs::many(stage).await,
            Self::ManySecrets => secrets::many(stage).await,
            Self::IdleRestart => idle_restart::play(stage).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
