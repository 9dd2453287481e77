//! What the actors say to each other, in the order of a pod event's way through.
//!
//! Downstream (hub → watcher → supervisor → runner → writer) a message is an order or a fact that
//! is said once. Upstream messages are small, and saying one twice does no harm.

use std::sync::Arc;

use actix::{Message, Recipient};
use extendedjob_api::{StreamOutput, Target};
use extendedjob_decide::{
    declared::Declared,
    job::{End, Job},
    pod::{Pod, Position},
    run::Run,
    selector::Selector,
    view::{Settled, Trouble},
};

/// Operator → hubs: a term has begun. List anew, before anyone is told anything: what an API server
/// said to a standby may be older than what the last leader did.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Refresh;

/// Operator → Supervisor: the ExtendedJob as it is now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Edited(pub(crate) Arc<Declared>);

/// TriggerWatcher → PodHub: tell me of the pods of `namespace` that `selector` may be about.
/// Answered by [`PodsAtFirst`] as soon as the hub knows all pods, then by [`PodMoved`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribePods {
    pub(crate) namespace: String,
    pub(crate) selector: Selector,
    pub(crate) subscriber: PodSubscriber,
}

/// Where a hub sends what it knows of pods.
#[derive(Clone)]
pub(crate) struct PodSubscriber {
    pub(crate) at_first: Recipient<PodsAtFirst>,
    pub(crate) moved: Recipient<PodMoved>,
}

/// PodHub → TriggerWatcher: the pods that the selector matches now, and those of the last minute
/// that are gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PodsAtFirst {
    pub(crate) pods: Vec<Arc<Pod>>,
    /// What has been seen so far; every later [`PodMoved`] comes after it.
    pub(crate) position: Position,
}

/// TriggerWatcher → Supervisor: all up to here has been looked at, and fired where it counts. A
/// watcher that takes over starts from there.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Sighted(pub(crate) Position);

/// PodHub → TriggerWatcher: a pod that it may be about appeared, or its labels or readiness
/// changed.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct PodMoved {
    /// `None`: the pod appeared while we watched.
    pub(crate) before: Option<Arc<Pod>>,
    pub(crate) after: Arc<Pod>,
}

/// TriggerWatcher → Supervisor: this transition counts. Sent again after a restart of the watcher.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Fire(pub(crate) Run);

/// Supervisor → JobHub: tell me of the Jobs that the ExtendedJob `owner` controls. Answered by
/// [`JobsAtFirst`] as soon as the hub knows all Jobs, then by [`JobSeen`] and [`JobGone`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribeJobs {
    /// The ExtendedJob's namespace: a Job elsewhere that names its UID is none of its Jobs.
    pub(crate) namespace: String,
    pub(crate) owner: String,
    pub(crate) subscriber: JobSubscriber,
}

/// Where a hub sends what it knows of Jobs.
#[derive(Clone)]
pub(crate) struct JobSubscriber {
    pub(crate) at_first: Recipient<JobsAtFirst>,
    pub(crate) seen: Recipient<JobSeen>,
    pub(crate) gone: Recipient<JobGone>,
}

/// JobHub → Supervisor: all its Jobs.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct JobsAtFirst(pub(crate) Vec<Arc<Job>>);

/// JobHub → Supervisor → JobRunner: the Job as it is now.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct JobSeen(pub(crate) Arc<Job>);

/// JobHub → Supervisor → JobRunner: the Job is no more; its last state.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct JobGone(pub(crate) Arc<Job>);

/// JobRunner → Supervisor: how far its run is.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum RunNews {
    /// The run has its Job.
    Started {
        job: Arc<Job>,
        /// Whether this create made it; else it was there, made by an earlier try.
        made_now: bool,
    },
    /// The Job of this name can't be made at present; it is tried again.
    Hindered { job: String, trouble: Trouble },
    /// The Job of this name never will be: its namespace is about to go.
    Forsaken { job: String },
    /// The run is over; the last word of a runner. Without an end someone deleted the Job.
    Ended { job: Arc<Job>, end: Option<End> },
}

/// Supervisor → OutputWriter: store what this ended Job wrote.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct WriteOutput {
    pub(crate) job: Arc<Job>,
    pub(crate) end: End,
    pub(crate) wish: StreamOutput,
}

/// OutputWriter → Supervisor: what became of a run's output.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OutputSettled {
    pub(crate) job: String,
    pub(crate) settled: Settled,
    /// Whether that is the last word; else the write is tried again.
    pub(crate) done: bool,
}

/// Which of its children a Supervisor speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChildId {
    /// The one that watches pods.
    TriggerWatcher,
    /// The one that makes and follows this Job.
    JobRunner(String),
    /// The one that writes this object.
    OutputWriter(Target),
}

/// Parent → child: end, and leave everything as it is.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;
