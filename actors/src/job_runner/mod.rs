//! Makes the Job of one run, and follows it and its pods to their end.
//!
//! Duty: the run gets exactly one Job. The create is tried until it is done, under a name that
//! follows from the run; that the Job is there already means an earlier try was answered by
//! silence. And each of its attempts is told before the run's end is.

mod drains;
mod following;
mod logs;

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, WrapFuture,
};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    build::{BuildError, build},
    declared::Declared,
    fault::Class,
    job::Job,
    retry::Backoff,
    run::Run,
    streams::Ways,
    view::Trouble,
};
use tokio::sync::Semaphore;
use tracing::{Span, info, warn};

use self::following::Following;
use crate::{
    clock::steady,
    cluster::{Cluster, jobs::JobError},
    hubs::PodHub,
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, Edited, JobGone, JobSeen, RunNews},
};

/// So many failures in a row are no hiccup: about eight seconds, with the delays between them.
const LASTING: u32 = 5;

/// What a runner works with.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) cluster: Cluster,
    pub(crate) pods: Addr<PodHub>,
    /// The ExtendedJob's share of creates in flight.
    pub(crate) creates: Arc<Semaphore>,
    /// How streams can be told apart here.
    pub(crate) ways: Arc<Ways>,
    /// Of the run, for the log.
    pub(crate) span: Span,
}

/// The runner of one Job.
pub(crate) struct JobRunner {
    means: Means,
    supervisor: Recipient<RunNews>,
    declared: Arc<Declared>,
    stage: Stage,
    failures: u32,
    backoff: Backoff,
    _lifeline: Lifeline<ChildId>,
}

enum Stage {
    /// The Job is to be made. Tries are counted, so that a refusal of an older one is ignored.
    /// The watch may speak of the Job before the create is answered: `heard` is what it said. `idle`: none is
    /// under way.
    Making { run: Run, attempt: u64, idle: bool, heard: Option<Heard> },
    /// The Job is there, or is told to be.
    Following(Following),
}

/// What the watch says of the Job.
enum Heard {
    Seen(Arc<Job>),
    Gone(Arc<Job>),
}

/// How a try to make the Job went.
enum Made {
    Now(Job),
    /// By an earlier try of ours.
    Before(Job),
    Refused(Refusal),
}

enum Refusal {
    Template(BuildError),
    NameTaken,
    Api(JobError),
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Retry {
    attempt: u64,
}

impl JobRunner {
    /// A runner that makes the Job of `run`, or if there is none to make, follows the one that is
    /// there.
    pub(crate) fn new(
        run: Option<Run>,
        declared: Arc<Declared>,
        means: Means,
        supervisor: Recipient<RunNews>,
        lifeline: Lifeline<ChildId>,
    ) -> Self {
        let stage = run.map_or_else(
            || Stage::Following(Following::default()),
            |run| Stage::Making { run, attempt: 0, idle: true, heard: None },
        );
        let backoff = Backoff::default();
        Self { means, supervisor, declared, stage, failures: 0, backoff, _lifeline: lifeline }
    }

    fn make(&mut self, ctx: &mut Context<Self>) {
        let Stage::Making { run, attempt, idle, .. } = &mut self.stage else { return };
        *attempt += 1;
        *idle = false;
        let attempt = *attempt;
        let making = make(self.means.clone(), Arc::clone(&self.declared), run.clone());
        ctx.spawn(making.into_actor(self).map(move |made, runner, ctx| runner.made(attempt, made, ctx)));
    }

    fn made(&mut self, of: u64, made: Made, ctx: &mut Context<Self>) {
        let Stage::Making { run, attempt, idle, heard } = &mut self.stage else { return };
        let (job, made_now) = match made {
            Made::Now(job) => (job, true),
            Made::Before(job) => (job, false),
            Made::Refused(_) if of != *attempt => return,
            Made::Refused(refusal) => match heard {
                // The answer was lost, but the Job was made.
                Some(Heard::Seen(job) | Heard::Gone(job)) if run.is_job(&self.declared, job) => {
                    (Job::clone(job), true)
                }
                _ => {
                    *idle = true;
                    let job = run.job.clone();
                    return self.hindered(of, job, &refusal, ctx);
                }
            },
        };
        let job = Arc::new(job);
        let heard = heard.take().unwrap_or_else(|| Heard::Seen(Arc::clone(&job)));
        self.begin_to_follow(job, made_now, heard, ctx);
    }

    fn begin_to_follow(&mut self, job: Arc<Job>, made_now: bool, heard: Heard, ctx: &mut Context<Self>) {
        let Stage::Making { run, .. } = &self.stage else { return };
        self.means.span.in_scope(|| info!(because = run.because(), made_now, "run started"));
        self.stage = Stage::Following(Following::default());
        self.supervisor.do_send(RunNews::Started { job, made_now });
        self.hear(heard, ctx);
    }

    /// Says what stands in the way, and tries again later.
    fn hindered(&mut self, attempt: u64, job: String, refusal: &Refusal, ctx: &mut Context<Self>) {
        if matches!(refusal, Refusal::Api(error) if error.fault().class() == Class::Terminating) {
            self.supervisor.do_send(RunNews::Forsaken { job });
            return ctx.stop();
        }
        let delay = self.backoff.after_failure(steady());
        self.failures += 1;
        let error = refusal.to_string();
        self.means.span.in_scope(|| warn!(error, ?delay, "no Job yet"));
        if let Some(reason) = refusal.reason(self.failures) {
            self.supervisor.do_send(RunNews::Hindered { job, trouble: Trouble { reason, message: error } });
        }
        ctx.notify_later(Retry { attempt }, delay);
    }

    fn hear(&mut self, said: Heard, ctx: &mut Context<Self>) {
        let (job, gone) = match &said {
            Heard::Seen(job) => (Arc::clone(job), false),
            Heard::Gone(job) => (Arc::clone(job), true),
        };
        if let Stage::Making { run, idle, heard, .. } = &mut self.stage {
            if *idle && run.is_job(&self.declared, &job) {
                // An earlier try was done, and not answered.
                return self.begin_to_follow(job, true, said, ctx);
            }
            *heard = Some(said);
            return;
        }
        self.follow(job, gone, ctx);
    }
}

async fn make(means: Means, declared: Arc<Declared>, run: Run) -> Made {
    let Means { cluster, creates, ways, .. } = means;
    let _turn = creates.acquire().await;
    let job = match build(&declared, &run, &ways) {
        Ok(job) => job,
        Err(error) => return Made::Refused(Refusal::Template(error)),
    };
    let error = match cluster.create_job(&declared.namespace, &run.job, job).await {
        Ok(job) => return Made::Now(job),
        Err(error) => error,
    };
    if error.fault().class() != Class::AlreadyExists {
        return Made::Refused(Refusal::Api(error));
    }
    match cluster.job(&declared.namespace, &run.job).await {
        Ok(job) if run.is_job(&declared, &job) => Made::Before(job),
        Ok(_) => Made::Refused(Refusal::NameTaken),
        Err(error) => Made::Refused(Refusal::Api(error)),
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(error) => error.fmt(f),
            Self::NameTaken => f.write_str(
                "a Job of the name that this run needs is there, and is not this run's; delete it",
            ),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl Refusal {
    /// The word for the user's condition; `None` for a failure that may well be over at the next
    /// try.
    fn reason(&self, failures: u32) -> Option<&'static str> {
        match self {
            Self::Template(_) => Some(reasons::INVALID_TEMPLATE),
            Self::NameTaken => Some(reasons::JOB_NAME_TAKEN),
            Self::Api(error) => match error.fault().class() {
                Class::Invalid => Some(reasons::INVALID_TEMPLATE),
                Class::Quota => Some(reasons::QUOTA_EXCEEDED),
                Class::Refused | Class::Senseless => Some(reasons::JOB_REFUSED),
                _ => (failures >= LASTING).then_some(reasons::JOB_REFUSED),
            },
        }
    }
}

stops_when_told!(JobRunner);

impl Actor for JobRunner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.make(ctx);
    }
}

impl Handler<Retry> for JobRunner {
    type Result = ();

    fn handle(&mut self, retry: Retry, ctx: &mut Self::Context) {
        if matches!(self.stage, Stage::Making { attempt, .. } if attempt == retry.attempt) {
            self.make(ctx);
        }
    }
}

impl Handler<Edited> for JobRunner {
    type Result = ();

    /// A Job that could not be made is tried at once with what the user has mended.
    fn handle(&mut self, Edited(declared): Edited, ctx: &mut Self::Context) {
        let mended = declared.generation != self.declared.generation;
        self.declared = declared;
        if mended {
            self.make(ctx);
        }
    }
}

impl Handler<JobSeen> for JobRunner {
    type Result = ();

    fn handle(&mut self, JobSeen(job): JobSeen, ctx: &mut Self::Context) {
        self.hear(Heard::Seen(job), ctx);
    }
}

impl Handler<JobGone> for JobRunner {
    type Result = ();

    fn handle(&mut self, JobGone(job): JobGone, ctx: &mut Self::Context) {
        self.hear(Heard::Gone(job), ctx);
    }
}
