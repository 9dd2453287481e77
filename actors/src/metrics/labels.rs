//! The values of labels: few, and known beforehand.

use extendedjob_api::{Mode, OutputResult, RunResult, Stream, When, conditions::reasons};

/// A value of a label, or of several.
pub(super) trait Label<const N: usize>: Copy + PartialEq {
    /// The words for it, one for each label.
    fn words(self) -> [&'static str; N];
}

pub(super) const WHENS: &[When] = &[When::Created, When::Ready, When::NotReady, When::Deleted];
pub(super) const MODES: &[Mode] =
    &[Mode::Created, Mode::Ready, Mode::NotReady, Mode::Deleted, Mode::Once, Mode::Errand];
pub(super) const RESULTS: &[RunResult] =
    &[RunResult::Succeeded, RunResult::Failed, RunResult::Replaced, RunResult::Deleted];
pub(super) const STREAMS: &[Stream] = &[Stream::Stdout, Stream::Stderr, Stream::Log];

/// Why a try to write output is repeated: reasons of the condition `OutputWritten`.
pub(super) const FAILURES: &[&str] = &[
    reasons::TARGET_NAMESPACE_MISSING,
    reasons::TARGET_IMMUTABLE,
    reasons::TARGET_FULL,
    reasons::TARGET_REFUSED,
    reasons::WRITE_FAILED,
    reasons::STREAMS_NOT_SEPARATED,
    OTHER,
];

/// Whatever is none of these.
pub(super) const OTHER: &str = "other";

impl Label<1> for &'static str {
    fn words(self) -> [&'static str; 1] {
        [self]
    }
}

impl Label<1> for When {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Created => "created",
            Self::Ready => "ready",
            Self::NotReady => "notready",
            Self::Deleted => "deleted",
        }]
    }
}

impl Label<1> for Mode {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Created => "created",
            Self::Ready => "ready",
            Self::NotReady => "notready",
            Self::Deleted => "deleted",
            Self::Once => "once",
            Self::Errand => "errand",
        }]
    }
}

impl Label<1> for RunResult {
    fn words(self) -> [&'static str; 1] {
        [self.name()]
    }
}

impl Label<1> for Stream {
    fn words(self) -> [&'static str; 1] {
        [self.name()]
    }
}

impl<A: Label<1>, B: Label<1>> Label<2> for (A, B) {
    fn words(self) -> [&'static str; 2] {
        let ([one], [other]) = (self.0.words(), self.1.words());
        [one, other]
    }
}

/// What became of an output in the end.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// It is in the target.
    Written,
    /// The key was there, and may not be overwritten.
    KeyExists,
    /// The pod was removed before it was read.
    Lost,
    /// It was tried for long enough.
    GivenUp,
    /// Trying again can't help.
    Failed,
}

impl Fate {
    pub(super) const ALL: &[Self] =
        &[Self::Written, Self::KeyExists, Self::Lost, Self::GivenUp, Self::Failed];

    /// That of one with this result, where this was the reason.
    pub(super) fn of(result: OutputResult, reason: Option<&str>) -> Self {
        match result {
            OutputResult::Written => Self::Written,
            OutputResult::KeyExists => Self::KeyExists,
            OutputResult::Lost => Self::Lost,
            OutputResult::Failed if reason == Some(reasons::OUTPUT_GIVEN_UP) => Self::GivenUp,
            OutputResult::Failed => Self::Failed,
        }
    }
}

impl Label<1> for Fate {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Written => "Written",
            Self::KeyExists => "KeyExists",
            Self::Lost => "Lost",
            Self::GivenUp => "GivenUp",
            Self::Failed => "Failed",
        }]
    }
}

/// A brake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Brake {
    /// Of the runs of one pod.
    Pod,
    /// Of all runs of an ExtendedJob.
    All,
    /// Of requests for runs.
    Requests,
    /// Of runs that start again because what they use has changed.
    Restarts,
}

impl Brake {
    pub(super) const ALL: &[Self] = &[Self::Pod, Self::All, Self::Requests, Self::Restarts];
}

impl Label<1> for Brake {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Pod => "pod",
            Self::All => "all",
            Self::Requests => "requests",
            Self::Restarts => "restarts",
        }]
    }
}

/// A kind of actor that is started anew when it falls. (What everything rests on takes the operator with it, and its
/// counts, too.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Supervisor,
    TriggerWatcher,
    ConfigWatcher,
    JobRunner,
    OutputWriter,
}

impl Kind {
    pub(super) const ALL: &[Self] =
        &[Self::Supervisor, Self::TriggerWatcher, Self::ConfigWatcher, Self::JobRunner, Self::OutputWriter];
}

impl Label<1> for Kind {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Supervisor => "supervisor",
            Self::TriggerWatcher => "trigger_watcher",
            Self::ConfigWatcher => "config_watcher",
            Self::JobRunner => "job_runner",
            Self::OutputWriter => "output_writer",
        }]
    }
}

/// What ended an actor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause {
    /// A panic.
    Panic,
    /// It stopped by itself.
    Stop,
}

impl Cause {
    pub(super) const ALL: &[Self] = &[Self::Panic, Self::Stop];

    pub(super) fn of(panicked: bool) -> Self {
        if panicked { Self::Panic } else { Self::Stop }
    }
}

impl Label<1> for Cause {
    fn words(self) -> [&'static str; 1] {
        [match self {
            Self::Panic => "panic",
            Self::Stop => "stop",
        }]
    }
}
