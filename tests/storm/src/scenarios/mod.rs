//! The storms, each with what the rules promise for it.

mod bad_days;
mod burst;
mod config_crashes;
mod crash_points;
mod deletions;
mod downtime;
mod idle_restart;
mod leaders;
mod logs;
mod machine;
mod output_crashes;
mod queue;
mod request_crashes;
mod secrets;
mod soak;
mod stopped_leader;
mod writer;

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
    /// Watches and logs break off in the middle of what they tell, again and again
    StreamsBreakOff,
    /// Watches can't be resumed, and all has to be listed anew
    WatchesGone,
    /// What watches tell is old
    WatchesBehind,
    /// The API server refuses every second request: there are too many
    Busy,
    /// The same: something is wrong
    Broken,
    /// The same: it is not there
    Unavailable,
    /// Every second write is done, and answered as if it had not been
    DoneUnanswered,
    /// Every second write is said to be outdated
    Conflicts,
    /// Every third request is carried out when the operator has given it up
    Late,
    /// Every third write is done at once, and answered when the operator has given it up
    AnsweredLate,
    /// etcd is down for 20 seconds
    Etcd,
    /// The ExtendedJob is deleted in the middle, and made anew under its name
    MadeAnew,
    /// A namespace is deleted in the middle
    NamespaceDeleted,
    /// The definition of ExtendedJobs is deleted, and all of them with it, and comes back
    DefinitionDeleted,
    /// The node is deleted on which a run prints, and comes back
    NodeDeleted,
    /// A leader stands still for a minute, and goes on
    StoppedForAMinute,
    /// The clock is set forward by two hours, and back by one
    ClockIsSet,
    /// There is no room on the disk for logs that are followed
    DiskIsFull,
    /// Everything at once, for long
    Soak,
}

/// When a scenario is played.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Among the storms, also the short ones.
    Storms,
    /// Among the storms that may take their time.
    LongStorms,
    /// When what the operator lives on fails.
    Faults,
    /// Among the storms, also the short ones, and when what the operator lives on fails.
    StormsAndFaults,
    /// When someone asks for it.
    Alone,
}

impl Scenario {
    /// Those that are about faults of the operator and of what it lives on.
    pub(crate) fn faults() -> Vec<Self> {
        Self::on(&[Occasion::StormsAndFaults, Occasion::Faults])
    }

    /// All others, or those of them that take seconds.
    pub(crate) fn storms(short: bool) -> Vec<Self> {
        let seconds = [Occasion::Storms, Occasion::StormsAndFaults];
        let all = [Occasion::Storms, Occasion::StormsAndFaults, Occasion::LongStorms];
        Self::on(if short { &seconds } else { &all })
    }

    fn on(occasions: &[Occasion]) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|scenario| occasions.contains(&scenario.occasion())).collect()
    }

    fn occasion(self) -> Occasion {
        match self {
            Self::KillInBurst | Self::Apiserver => Occasion::StormsAndFaults,
            Self::Burst
            | Self::Downtime
            | Self::Downtime410
            | Self::CrashPoints
            | Self::RequestCrashes
            | Self::OutputCrashes
            | Self::ConfigCrashes
            | Self::Queue
            | Self::Leaders
            | Self::IdleRestart => Occasion::Storms,
            // A Lease has to run out in one of them.
            Self::Handovers | Self::StoppedLeader | Self::LongLog | Self::ManyLogs | Self::ManySecrets => {
                Occasion::LongStorms
            }
            Self::StreamsBreakOff
            | Self::WatchesGone
            | Self::WatchesBehind
            | Self::Busy
            | Self::Broken
            | Self::Unavailable
            | Self::DoneUnanswered
            | Self::Conflicts
            | Self::Late
            | Self::AnsweredLate
            | Self::Etcd
            | Self::MadeAnew
            | Self::NamespaceDeleted
            | Self::DefinitionDeleted
            | Self::NodeDeleted
            | Self::StoppedForAMinute
            | Self::ClockIsSet
            | Self::DiskIsFull => Occasion::Faults,
            Self::Soak => Occasion::Alone,
        }
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
            Self::StoppedLeader => stopped_leader::until_another_leads(stage).await,
            Self::Apiserver => burst::with_a_killed_api_server(stage).await,
            Self::LongLog => logs::one_long(stage).await,
            Self::ManyLogs => logs::many(stage).await,
            Self::ManySecrets => secrets::many(stage).await,
            Self::IdleRestart => idle_restart::play(stage).await,
            Self::StreamsBreakOff => bad_days::streams_break_off(stage).await,
            Self::WatchesGone => bad_days::watches_are_gone(stage).await,
            Self::WatchesBehind => bad_days::watches_are_behind(stage).await,
            Self::Busy => bad_days::refused(stage, 429).await,
            Self::Broken => bad_days::refused(stage, 500).await,
            Self::Unavailable => bad_days::refused(stage, 503).await,
            Self::DoneUnanswered => bad_days::done_unanswered(stage).await,
            Self::Conflicts => bad_days::conflicts(stage).await,
            Self::Late => bad_days::late(stage).await,
            Self::AnsweredLate => bad_days::answered_late(stage).await,
            Self::Etcd => burst::without_etcd(stage).await,
            Self::MadeAnew => deletions::of_extended_job(stage).await,
            Self::NamespaceDeleted => deletions::of_namespace(stage).await,
            Self::DefinitionDeleted => deletions::of_definition(stage).await,
            Self::NodeDeleted => deletions::of_node(stage).await,
            Self::StoppedForAMinute => stopped_leader::for_a_minute(stage).await,
            Self::ClockIsSet => machine::clock_is_set(stage).await,
            Self::DiskIsFull => machine::disk_is_full(stage).await,
            Self::Soak => soak::play(stage).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
