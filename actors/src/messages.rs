//! What the actors say to each other, in the order of a pod event's way through.
//!
//! Downstream (hub → watcher → supervisor → runner → writer) a message is an order or a fact that
//! is said once. Upstream messages are small, and saying one twice does no harm.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use actix::{Message, Recipient};
use extendedjob_api::{ContainerEnd, Stream, Target, TargetKind};
use extendedjob_decide::{
    attempts::{AttemptEnd, JobPod, LogId},
    checkpoint::{Checkpoint, Receipt},
    config::Digests,
    declared::Declared,
    job::{End, Job},
    output::Wish,
    pod::{Pod, Version},
    references::{Missing, References},
    run::Run,
    transition::{Baseline, Move, Trigger},
    view::{self, Trouble},
};

use tokio::time::Instant;

use crate::{cluster::logs::Followed, metrics::Kind};

/// Operator → PodHub, JobHub: a term has begun. What is known counts for nothing: what an API server said to a standby
/// may be older than what the last leader did.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TermBegun;

/// Operator → PodHub, JobHub: another operator leads, or may do so soon. Keep watching, and nothing else.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StandBy;

/// Operator → PodHub: an ExtendedJob with a trigger is there, and its Supervisor will subscribe. What
/// happens to its pods from now on is kept for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Expect {
    /// UID of the ExtendedJob.
    pub(crate) owner: String,
    pub(crate) namespace: String,
    pub(crate) trigger: Trigger,
    /// It has no baseline yet.
    pub(crate) is_new: bool,
}

/// Operator, Supervisor → PodHub: this ExtendedJob is no more, or about to go.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unexpect(pub(crate) String);

/// Operator → PodHub: a term has begun, and all ExtendedJobs are known. Go on from the checkpoint that
/// the leader before has left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BeginPods {
    pub(crate) term: i64,
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// PodHub, Supervisor → Operator → Elector: this term can't go on. Another one, of this process or
/// another, begins with what is stored.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct TermBroken {
    pub(crate) term: i64,
    pub(crate) breach: Breach,
}

/// Why a term can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    /// Whoever that was.
    #[error("someone else has written what only the leader may write")]
    WrittenByOther,
    /// What happened meanwhile would be told otherwise than by a watch; the next term can still go on from
    /// the checkpoint.
    #[error("the watch on pods has lost its place")]
    PlaceLost,
    /// The next term is to compare pods with the book, which is noted before anything else is written.
    #[error("the API server has forgotten how pods were at the checkpoint")]
    CheckpointForgotten,
}

/// Operator → Supervisor: the ExtendedJob as it is now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Edited(pub(crate) Arc<Declared>);

/// Operator → Supervisor: streams can be told apart in other ways than before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WaysChanged;

/// TriggerWatcher → PodHub: tell me of the pods of `namespace` that `trigger` is about. Answered by
/// [`PodsAtFirst`] as soon as the hub knows all pods, then by [`PodMoved`] for all that is not
/// settled, and for all that happens.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribePods {
    /// UID of the ExtendedJob.
    pub(crate) owner: String,
    pub(crate) namespace: String,
    pub(crate) trigger: Trigger,
    pub(crate) sight: Sight,
    /// Which of its watcher's subscriptions this is: answers to older ones come too late.
    pub(crate) number: u64,
    pub(crate) subscriber: PodSubscriber,
}

/// How a watcher begins to look at pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// For the first time: the stamps decide about what is there.
    First,
    /// Its baseline is known: what is there has been judged.
    Again,
    /// The trigger was edited: it takes the pods as they are.
    Edited,
}

/// Where a hub sends what it knows of pods.
#[derive(Clone)]
pub(crate) struct PodSubscriber {
    pub(crate) at_first: Recipient<PodsAtFirst>,
    pub(crate) moved: Recipient<PodMoved>,
    pub(crate) book: Recipient<BookNews>,
    pub(crate) watched: Recipient<PodsWatched>,
}

/// PodHub → TriggerWatcher → Supervisor: so many pods the trigger is about.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PodsWatched {
    /// The subscription.
    pub(crate) number: u64,
    pub(crate) pods: usize,
}

/// PodHub → TriggerWatcher: where the hub is.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PodsAtFirst {
    /// Which subscription is answered.
    pub(crate) number: u64,
    /// At first sight: the pods that the trigger is about, and those of the last minute that are gone.
    pub(crate) pods: Vec<Arc<Pod>>,
    /// What has been seen so far.
    pub(crate) position: Version,
    /// Why nothing is known of what pods were like before, though it should be.
    pub(crate) lost: Option<Trouble>,
}

/// PodHub → TriggerWatcher: something happened to a pod that its trigger is about. To be answered by
/// [`Settled`], through the Supervisor.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct PodMoved {
    pub(crate) receipt: Receipt,
    pub(crate) moved: Move,
    /// When the watch told of it.
    pub(crate) observed: Instant,
}

/// PodHub → TriggerWatcher → Supervisor: what was there when it subscribed is in the book, or can't be written
/// at present.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BookNews {
    /// The subscription.
    pub(crate) number: u64,
    /// Why it is not written; `None`: it is.
    pub(crate) error: Option<String>,
}

/// Supervisor → TriggerWatcher: the trigger or the suspension was edited, or the ledger is to be made
/// anew. Take the pods as they are then as the baseline; answered by [`Sighted`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rebase {
    pub(crate) trigger: Trigger,
    /// Not suspended.
    pub(crate) counts: bool,
}

/// TriggerWatcher → Supervisor: from where on pods count.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Sighted {
    pub(crate) sight: Sight,
    pub(crate) baseline: Baseline,
    /// What has been seen so far.
    pub(crate) position: Version,
    /// The runs for what was there at first sight.
    pub(crate) runs: Vec<Run>,
    /// The book that it was to go by is lost.
    pub(crate) lost: Option<Trouble>,
}

/// TriggerWatcher → Supervisor: what a move of a pod means. Sent again after a restart of the watcher.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Fire {
    pub(crate) receipt: Receipt,
    pub(crate) seen: Version,
    /// When the watch told of it.
    pub(crate) observed: Instant,
    /// `None` if it counts for nothing.
    pub(crate) run: Option<Run>,
    /// The UID of a pod that is gone.
    pub(crate) gone: Option<String>,
}

/// Supervisor → PodHub: how are these pods, by their UIDs? Answered with those of them that are there; or with nothing as
/// long as the hub does not know all pods, or knows them as they were before it began.
#[derive(Message)]
#[rtype(result = "Option<Vec<Arc<Pod>>>")]
pub(crate) struct Recall(pub(crate) BTreeSet<String>);

/// Supervisor → PodHub: these moves count for nothing, or their runs have Jobs or stand in the stored
/// ledger.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Settled {
    /// UID of the ExtendedJob.
    pub(crate) owner: String,
    pub(crate) receipts: Vec<Receipt>,
    /// The baseline is stored.
    pub(crate) based: bool,
}

/// JobRunner → PodHub: tell me of the pods of this Job, as they are and as they change.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribeJobPods {
    /// UID of the Job.
    pub(crate) job: String,
    pub(crate) subscriber: Recipient<JobPodNews>,
}

/// PodHub → JobRunner: a pod of its Job as it is now, or in its last state.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum JobPodNews {
    Seen(Arc<JobPod>),
    Gone(Arc<JobPod>),
}

/// ConfigWatcher → ConfigHub: tell me of the objects of these names, in the place of what I have asked for before.
/// Answered by [`ConfigNews`] of all of them as soon as the hub knows them, then of each that appears, changes or goes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubscribeConfigs {
    /// UID of the ExtendedJob.
    pub(crate) owner: String,
    pub(crate) namespace: String,
    pub(crate) names: BTreeSet<String>,
    /// Which of its watcher's subscriptions this is.
    pub(crate) number: u64,
    pub(crate) subscriber: Recipient<ConfigNews>,
}

/// Supervisor → ConfigWatcher: what the pods use from now on.
#[derive(Message, Clone, Debug, Default, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct Refer {
    /// Which order this is: what is told of an older one comes too late.
    pub(crate) number: u64,
    pub(crate) references: References,
    /// Whether changes of values are of interest.
    pub(crate) wants_digests: bool,
}

/// ConfigWatcher → Supervisor: how what the pods use is now.
#[derive(Message, Clone, Debug, Default, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct ConfigSeen {
    /// The order that is answered.
    pub(crate) of: u64,
    /// What is required and not there.
    pub(crate) missing: Vec<Missing>,
    /// What the rest holds, if that is of interest.
    pub(crate) digests: Digests,
}

/// ConfigWatcher → Supervisor: what the pods use could not be read, and is tried again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ConfigUnread {
    /// The order.
    pub(crate) of: u64,
    pub(crate) error: String,
}

/// ConfigHub → ConfigWatcher: the versions of these objects now; `None` where there is none.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ConfigNews {
    pub(crate) kind: TargetKind,
    /// The subscription.
    pub(crate) number: u64,
    pub(crate) objects: BTreeMap<String, Option<String>>,
}

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

/// The logs that were followed: one stream of each, or all of it.
pub(crate) type Logs = HashMap<(LogId, Stream), Followed>;

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
    /// Pods of the Job of this name can't start for this, or can again.
    Stuck { job: String, trouble: Option<Trouble> },
    /// The Job of this name never will be: its namespace is about to go.
    Forsaken { job: String },
    /// An attempt of the Job is over.
    AttemptEnded { job: Arc<Job>, attempt: AttemptEnd, followed: Logs },
    /// The run is over; the last word of a runner. Without an end someone deleted the Job.
    Ended {
        job: Arc<Job>,
        end: Option<End>,
        /// How the containers of its last pod ended, as far as that is known.
        containers: Vec<ContainerEnd>,
    },
}

impl RunNews {
    /// The Job that it is about.
    pub(crate) fn job(&self) -> &str {
        match self {
            Self::Started { job, .. } | Self::AttemptEnded { job, .. } | Self::Ended { job, .. } => &job.name,
            Self::Hindered { job, .. } | Self::Stuck { job, .. } | Self::Forsaken { job } => job,
        }
    }
}

/// An attempt that is over.
pub(crate) struct Attempted {
    pub(crate) end: AttemptEnd,
    pub(crate) followed: Logs,
}

/// Supervisor → OutputWriter: store what these attempts of a Job wrote, one or, of versioned output, all of them.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct WriteOutput {
    /// What tells it from the other orders for its Job.
    pub(crate) id: String,
    pub(crate) job: Arc<Job>,
    pub(crate) attempts: Arc<[Arc<Attempted>]>,
    pub(crate) wish: Arc<Wish>,
}

/// OutputWriter → Supervisor: what became of an order.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OutputSettled {
    pub(crate) job: String,
    /// The order.
    pub(crate) id: String,
    pub(crate) settled: view::Settled,
    /// Whether that is the last word; else the write is tried again.
    pub(crate) done: bool,
}

/// Supervisor → Operator → Supervisor: something befell another ExtendedJob, by this one's doing.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct Befell {
    /// Whom: `namespace/name`.
    pub(crate) extended_job: String,
    /// For an Event.
    pub(crate) trouble: Trouble,
    /// The Job that it is about.
    pub(crate) job: String,
}

/// Supervisor → Operator: does this ExtendedJob, by its UID, feed itself through others? Answered in words.
#[derive(Message)]
#[rtype(result = "Option<String>")]
pub(crate) struct FindCircle(pub(crate) String);

/// Which of its children a Supervisor speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChildId {
    /// The one that watches pods.
    TriggerWatcher,
    /// The one that watches what pods use of ConfigMaps and Secrets.
    ConfigWatcher,
    /// The one that makes and follows this Job.
    JobRunner(String),
    /// The one that writes this object.
    OutputWriter(Target),
}

impl ChildId {
    /// What kind of actor that is.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::TriggerWatcher => Kind::TriggerWatcher,
            Self::ConfigWatcher => Kind::ConfigWatcher,
            Self::JobRunner(_) => Kind::JobRunner,
            Self::OutputWriter(_) => Kind::OutputWriter,
        }
    }
}

/// Parent → child: end, and leave everything as it is.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;
