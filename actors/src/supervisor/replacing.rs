//! Jobs under way that go, because what their pods use has changed, and others take their place.
//!
//! Duty: no Job goes before the run in its place is on record, and the status has told; and no run starts while an old Job of
//! its own is there.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::{AsyncContext, Context, Handler};
use extendedjob_api::{RunResult, conditions::reasons};
use extendedjob_decide::{
    config::listed,
    job::Job,
    view::{RunState, Stage, Trouble},
};
use jiff::Timestamp;

use super::Supervisor;

/// So long Jobs may take to go before that is said.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes in masses is taken up together.
const SOON: Duration = Duration::from_millis(20);

/// Which go.
#[derive(Default)]
pub(super) struct Replacing {
    /// Some Job under way may have to go.
    pub(super) is_due: bool,
    /// The Jobs that go, and have not gone yet, by the roots of their runs.
    going: HashMap<String, BTreeSet<String>>,
    /// Why runs wait whose old Jobs don't go.
    pub(super) stuck: Option<Trouble>,
    advances_soon: bool,
}

/// Jobs that were to go may be there still.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct StillThere;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Soon;

impl Replacing {
    /// Whether an old Job of the runs with this root is still there.
    pub(super) fn is_in_the_way(&self, root: &str) -> bool {
        self.going.contains_key(root)
    }
}

impl Supervisor {
    /// Jobs under way in whose place other runs are to start, which are on record, go.
    pub(super) fn replace_runs(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = self.runs.as_ref().filter(|_| self.replacing.is_due && self.desk.may_start()) else {
            return;
        };
        self.replacing.is_due = false;
        let is_replaced = |(job, root): &(&String, &String)| {
            self.desk.newest(root).is_some_and(|newest| newest != job.as_str())
        };
        let has_ended = |job: &String| runs.jobs.get(job).is_none_or(|job| job.end.is_some());
        let under_way = runs.states.iter().filter(|(_, run)| run.stage == Stage::Active);
        let under_way = under_way.filter(|(job, _)| !has_ended(job));
        let roots = under_way.map(|(job, run)| (job, run.root.as_ref().unwrap_or(job)));
        let replaced: Vec<(Arc<Job>, String)> = roots
            .filter(is_replaced)
            .filter_map(|(job, root)| Some((Arc::clone(runs.jobs.get(job)?), root.clone())))
            .collect();
        for (job, root) in replaced {
            self.run_replaced(&job, root, ctx);
        }
    }

    /// Another run takes the place of this one. Its Job is deleted when that is told, so that nobody takes it for one that
    /// someone else has deleted.
    fn run_replaced(&mut self, job: &Arc<Job>, root: String, ctx: &mut Context<Self>) {
        self.runners.let_go(&job.name);
        self.hindrances.no_longer_stuck(&job.name);
        if self.replacing.going.is_empty() {
            ctx.notify_later(StillThere, PATIENCE);
        }
        let newer = self.desk.newest(&root).and_then(|newest| self.desk.waiting(newest));
        let why = newer.map(|run| format!(": {} changed", listed(&run.changed))).unwrap_or_default();
        let note = format!("Job {} is deleted, and another one takes its place{why}", job.name);
        self.note(reasons::REPLACED, Some(&job.name), note, ctx);
        self.replacing.going.entry(root).or_default().insert(job.name.clone());
        self.count_end(RunResult::Replaced);
        // What its attempts so far have written is on its way; nothing more comes.
        self.output_is_due(job, ctx);
        if let Some(state) = self.runs.as_mut().and_then(|runs| runs.states.get_mut(&job.name)) {
            // Whole seconds, as the API server stores them.
            let now = Timestamp::now();
            state.stage = Stage::Replaced { time: Timestamp::from_second(now.as_second()).unwrap_or(now) };
            state.attempts = job.attempts;
            state.output_is_due = false;
        }
    }

    /// A Job is gone. If it was to go, one takes its place.
    pub(super) fn has_gone(&mut self, job: &str) {
        let Some(runs) = &mut self.runs else { return };
        let replaced = runs.states.get(job).filter(|run| run.is_replaced());
        let Some(state) = replaced else { return };
        runs.busy.remove(job);
        let going = &mut self.replacing.going;
        let root = state.root.as_deref().unwrap_or(job);
        if let Some(jobs) = going.get_mut(root) {
            jobs.remove(job);
            if jobs.is_empty() {
                going.remove(root);
            }
        }
        self.replacing.stuck = None;
    }

    /// Whether another one takes the place of the run of this Job.
    pub(super) fn is_replaced(&self, job: &str) -> bool {
        let run = self.runs.as_ref().and_then(|runs| runs.states.get(job));
        run.is_some_and(RunState::is_replaced)
    }

    /// The same as [`advance`](Self::advance), a little later, and once for all that comes until then.
    pub(super) fn advance_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.replacing.advances_soon, true) {
            ctx.notify_later(Soon, SOON);
        }
    }
}

impl Handler<StillThere> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: StillThere, ctx: &mut Self::Context) {
        let jobs = self.replacing.going.values().flatten().next().cloned();
        self.replacing.stuck = jobs.map(|job| {
            ctx.notify_later(StillThere, PATIENCE);
            let message = format!(
                "Job {job} is being deleted, and its pods with it; a run in its place waits for that"
            );
            Trouble { reason: reasons::REPLACED, message }
        });
        self.report(ctx);
    }
}

impl Handler<Soon> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Soon, ctx: &mut Self::Context) {
        self.replacing.advances_soon = false;
        self.advance(ctx);
    }
}
