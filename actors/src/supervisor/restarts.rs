//! Runs start again when what their pods use of ConfigMaps and Secrets has changed.
//!
//! ```text
//! a digest differs ──(quiet for a second)──► ripe ──(none in the making; pods recalled)──► revised
//!        ──(the ledger is written)──► Jobs under way are told as replaced, and deleted ──► their runs start
//! ```
//!
//! Duty: revision, digests and the runs that start again stand in the ledger, by one write, before any Job goes; and no
//! run starts while an old Job of its own is there.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use extendedjob_api::{Mode, conditions::reasons};
use extendedjob_decide::{
    brake::{Bucket, delay_until},
    config::{holds, listed},
    job::Job,
    pod::Pod,
    references::Object,
    run::{By, Reason},
    transition::Trigger,
    view::{Stage, Trouble},
};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Supervisor;
use crate::messages::{FindCircle, Recall};

/// Changes that come within this time of each other make one.
const QUIET: Duration = Duration::from_secs(1);
/// But one that has been there for so long is not put off any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far a change is.
#[derive(Default)]
pub(super) struct Restarts {
    change: Change,
    bucket: Bucket,
    /// Runs don't start again for now.
    is_braked: bool,
    /// Why, and who keeps it so.
    brake: Option<Trouble>,
    look_again: Option<SpawnHandle>,
    /// Some Job under way may have to go.
    pub(super) replaces: bool,
    /// The Jobs that go, and have not gone yet, by the roots of their runs.
    going: HashMap<String, BTreeSet<String>>,
    /// Why runs wait whose old Jobs don't go.
    stuck: Option<Trouble>,
    /// What has made runs start again, to be told when it is on record.
    news: BTreeSet<Object>,
    advances_soon: bool,
    is_pruning: bool,
}

/// A change that was seen, and is not on record yet.
#[derive(Default)]
enum Change {
    #[default]
    None,
    /// More may come with it.
    Fresh { since: Instant, quiet: SpawnHandle },
    /// It is to be put on record.
    Ripe,
    /// The hub is being asked about pods, for that.
    Asking,
}

/// It has been quiet for long enough.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Quiet;

/// So long Jobs may take to go before that is said.
const PATIENCE_WITH_JOBS: Duration = Duration::from_secs(10);
/// What comes in masses is taken up together.
const SOON: Duration = Duration::from_millis(20);
/// So many pods more than there are may be remembered to have counted.
const SLACK: usize = 100;

/// Jobs that were to go may be there still.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct StillThere;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Soon;

/// Time has passed: the brake may let runs start again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain;

impl Restarts {
    /// Whether a change is about to be put on record: what starts before that would start twice.
    pub(super) fn is_changing(&self) -> bool {
        !matches!(self.change, Change::None) && !self.is_braked
    }

    /// Whether an old Job of the runs with this root is still there.
    pub(super) fn is_in_the_way(&self, root: &str) -> bool {
        self.going.contains_key(root)
    }

    /// Why runs don't start again for now.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.brake.as_ref().or(self.stuck.as_ref())
    }
}

impl Supervisor {
    /// Something was heard of what the pods use: it is not quiet yet.
    pub(super) fn config_stirs(&mut self, ctx: &mut Context<Self>) {
        if let Change::Fresh { since, quiet } = self.config.restarts.change
            && since.elapsed() < PATIENCE
        {
            ctx.cancel_future(quiet);
            self.change_is_fresh(since, ctx);
        }
    }

    fn change_is_fresh(&mut self, since: Instant, ctx: &mut Context<Self>) {
        self.config.restarts.change = Change::Fresh { since, quiet: ctx.notify_later(Quiet, QUIET) };
    }

    /// Puts on record what the pods use, as far as that is known, and has runs start again where it has changed.
    pub(super) fn take_up_config(&mut self, ctx: &mut Context<Self>) {
        if !self.is_on_record() || self.declared.deleting {
            return;
        }
        if !self.declared.spec.update_on_config_change {
            self.desk.ignore_changes();
            return self.no_change(ctx);
        }
        let Some(changed) = self.changed(ctx) else { return };
        match self.config.restarts.change {
            Change::None => self.change_is_fresh(Instant::now(), ctx),
            Change::Ripe => self.prepare_revision(&changed, ctx),
            Change::Fresh { .. } | Change::Asking => {}
        }
    }

    /// What has changed. Where something is missing nothing can start again, and nothing counts as changed.
    fn changed(&mut self, ctx: &mut Context<Self>) -> Option<BTreeSet<Object>> {
        let seen = self.config.seen.as_ref().filter(|seen| seen.missing.is_empty())?;
        let changed = self.desk.config().changed(&seen.digests);
        if !changed.is_empty() {
            return Some(changed);
        }
        if self.desk.config().digests.as_ref() != Some(&seen.digests) {
            self.desk.take_as_given(seen.digests.clone());
            self.count_pods();
        }
        self.no_change(ctx);
        None
    }

    /// What was changed is back to what it was, or is of no interest.
    fn no_change(&mut self, ctx: &mut Context<Self>) {
        if let Change::Fresh { quiet, .. } = std::mem::take(&mut self.config.restarts.change) {
            ctx.cancel_future(quiet);
        }
        self.release_brake();
    }

    fn release_brake(&mut self) {
        self.config.restarts.is_braked = false;
        self.config.restarts.brake = None;
    }

    /// No run may be in the making when names change; and the hub is asked which pods are still in the state that their
    /// runs were for.
    fn prepare_revision(&mut self, changed: &BTreeSet<Object>, ctx: &mut Context<Self>) {
        // Before the one before it is on record, another one would only count.
        let is_held = self.may_not_start() || !self.desk.may_start();
        if is_held || self.can_start_again() && self.is_braked(changed, ctx) {
            return;
        }
        if self.may_yet_be_made() {
            // Its runner is about to find out.
            return self.change_is_fresh(Instant::now(), ctx);
        }
        self.put_hindered_back();
        if self.desk.making() > 0 {
            return;
        }
        let counted: BTreeSet<String> = self.desk.config().counted.keys().cloned().collect();
        if counted.is_empty() {
            return self.revise(&[], ctx);
        }
        self.config.restarts.change = Change::Asking;
        let asking = self.recall(counted);
        ctx.spawn(asking.into_actor(self).map(|answer, supervisor, ctx| {
            if !matches!(supervisor.config.restarts.change, Change::Asking) {
                return;
            }
            supervisor.config.restarts.change = Change::Ripe;
            match answer {
                Some(pods) => supervisor.revise(&pods, ctx),
                None => supervisor.change_is_fresh(Instant::now(), ctx),
            }
        }));
    }

    /// Whether the Job of a run that waits may be made all the same, by a create whose answer never came: under another
    /// name it would be made twice.
    fn may_yet_be_made(&self) -> bool {
        let creates = self.around.cluster.creates();
        let namespace = &self.declared.namespace;
        let mut waiting = self.desk.in_hand().chain(self.desk.idle());
        waiting.any(|run| creates.may_come(&format!("{namespace}/{}", run.job)))
    }

    /// Takes up a change, with these pods of those that have counted.
    fn revise(&mut self, pods: &[Arc<Pod>], ctx: &mut Context<Self>) {
        let Some(changed) = self.changed(ctx) else { return };
        // Much may have been said since the hub was asked.
        if self.may_not_start() || self.may_yet_be_made() || self.desk.making() > 0 {
            return;
        }
        self.put_hindered_back();
        let Some(seen) = &self.config.seen else { return };
        let digests = seen.digests.clone();
        self.forget_all_but(pods);
        let again = self.to_start_again(pods);
        if !again.is_empty() {
            self.config.restarts.bucket.take(self.around.limits.restarts, Timestamp::now());
        }
        let waited = self.desk.len();
        self.desk.revise(&self.declared, digests, &changed, again);
        let (revision, runs) = (self.desk.revision(), self.desk.len() - waited);
        let (namespace, name) = (&self.declared.namespace, &self.declared.name);
        info!(%namespace, %name, changed = listed(&changed), revision, runs, "what the pods use has changed");
        if runs > 0 {
            self.config.restarts.news.extend(changed);
        }
        self.config.restarts.replaces = true;
        self.no_change(ctx);
        self.advance(ctx);
    }

    /// What runs are started for again: all that are under way, a one-off, and the pods that are as they were when they
    /// counted.
    fn to_start_again(&self, pods: &[Arc<Pod>]) -> Vec<Reason> {
        let Some(runs) = &self.runs else { return vec![] };
        let under_way = runs.states.iter().filter(|(_, run)| run.stage == Stage::Active);
        let jobs = under_way.filter_map(|(job, _)| runs.jobs.get(job));
        // One that has ended is only being read.
        let mut jobs: Vec<&Arc<Job>> = jobs.filter(|job| job.end.is_none()).collect();
        jobs.sort_by_key(|job| (job.created, &job.name));
        let mut again: Vec<Reason> = jobs.iter().filter_map(|job| Reason::of(&self.declared, job)).collect();
        let number = self.declared.status.run_number;
        if self.declared.mode() == Some(Mode::Once) && number > 0 {
            again.push(Reason::Request { number, by: By::Someone });
        }
        if let Some(trigger) = self.declared.spec.triggers.as_ref().map(Trigger::new) {
            // For one that waits, or is replaced, a run starts anyway.
            let mut started = self.desk.awaited_pods();
            started.extend(jobs.iter().filter_map(|job| job.pod_uid.as_deref()));
            let is_idle = |pod: &&Arc<Pod>| holds(&trigger, pod) && !started.contains(pod.uid.as_str());
            let mut pods: Vec<&Arc<Pod>> = pods.iter().filter(is_idle).collect();
            pods.sort_by_key(|pod| (pod.created, &pod.name));
            let of_pod = |pod: &Arc<Pod>| {
                let transition = self.desk.config().counted.get(&pod.uid)?.clone();
                // Of a kind that was asked for before an edit, it has not counted for what is asked for now.
                let is_of_kind = transition.when == trigger.when;
                is_of_kind.then(|| Reason::Pod { pod: Arc::clone(pod), transition })
            };
            again.extend(pods.into_iter().filter_map(of_pod));
        }
        again
    }

    /// Whether anything may start again at all.
    fn can_start_again(&self) -> bool {
        let Some(runs) = &self.runs else { return false };
        let is_active = || runs.states.values().any(|run| run.stage == Stage::Active);
        let is_one_off = self.declared.mode() == Some(Mode::Once) && self.declared.status.run_number > 0;
        is_one_off || !self.desk.config().counted.is_empty() || is_active()
    }

    /// Whether runs have started again too often lately.
    fn is_braked(&mut self, changed: &BTreeSet<Object>, ctx: &mut Context<Self>) -> bool {
        let (limit, now) = (self.around.limits.restarts, Timestamp::now());
        if self.config.restarts.bucket.has_token(limit, now) {
            self.release_brake();
            return false;
        }
        if let Some(handle) = self.config.restarts.look_again.take() {
            ctx.cancel_future(handle);
        }
        let next = self.config.restarts.bucket.next(limit);
        let delay = delay_until(next, now);
        self.config.restarts.look_again = Some(ctx.notify_later(LookAgain, delay));
        if std::mem::replace(&mut self.config.restarts.is_braked, true) {
            return true;
        }
        let next = Timestamp::from_second(next.as_second()).unwrap_or(next);
        let message = format!(
            "{} changed, and runs are to start again, as they did {} times in a short time; from now on they do once each \
             {:?}, next at {next}",
            listed(changed),
            limit.burst,
            limit.every
        );
        let asking = self.around.circles.send(FindCircle(self.declared.uid.clone()));
        ctx.spawn(asking.into_actor(self).map(|circle, supervisor, ctx| {
            let circle = circle.ok().flatten().map(|circle| format!(". {circle}"));
            supervisor.tell_brake(message + &circle.unwrap_or_default(), ctx);
        }));
        true
    }

    fn tell_brake(&mut self, message: String, ctx: &mut Context<Self>) {
        if self.config.restarts.is_braked {
            let reason = reasons::TOO_MANY_RESTARTS;
            self.config.restarts.brake = Some(Trouble { reason, message: message.clone() });
            self.warn(reason, None, message, ctx);
            self.report(ctx);
        }
    }

    /// Jobs under way in whose place other runs are to start, which are on record, go.
    pub(super) fn replace_runs(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) =
            self.runs.as_ref().filter(|_| self.config.restarts.replaces && self.desk.may_start())
        else {
            return;
        };
        self.config.restarts.replaces = false;
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
        if self.config.restarts.going.is_empty() {
            ctx.notify_later(StillThere, PATIENCE_WITH_JOBS);
        }
        let newer = self.desk.newest(&root).and_then(|newest| self.desk.waiting(newest));
        let why = newer.map(|run| format!(": {} changed", listed(&run.changed))).unwrap_or_default();
        let note = format!("Job {} is deleted, and another one takes its place{why}", job.name);
        self.note(reasons::REPLACED, Some(&job.name), note, ctx);
        self.config.restarts.going.entry(root).or_default().insert(job.name.clone());
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
        let replaced = runs.states.get(job).filter(|run| matches!(run.stage, Stage::Replaced { .. }));
        let Some(state) = replaced else { return };
        runs.busy.remove(job);
        let going = &mut self.config.restarts.going;
        let root = state.root.as_deref().unwrap_or(job);
        if let Some(jobs) = going.get_mut(root) {
            jobs.remove(job);
            if jobs.is_empty() {
                going.remove(root);
            }
        }
        self.config.restarts.stuck = None;
    }

    /// Whether another one takes the place of the run of this Job.
    pub(super) fn is_replaced(&self, job: &str) -> bool {
        let run = self.runs.as_ref().and_then(|runs| runs.states.get(job));
        run.is_some_and(|run| matches!(run.stage, Stage::Replaced { .. }))
    }

    /// What has changed is on record.
    pub(super) fn tell_of_change(&mut self, ctx: &mut Context<Self>) {
        if !self.desk.may_start() {
            return;
        }
        let news = std::mem::take(&mut self.config.restarts.news);
        if let Some(object) = news.first().cloned() {
            // Without numbers: Events on one object are counted, and the first note stands for all.
            let note = format!("{} changed: runs start again", listed(&news));
            self.note_of(object, reasons::CONFIG_CHANGED, note, ctx);
        }
    }

    /// The same as [`advance`](Self::advance), a little later, and once for all that comes until then.
    pub(super) fn advance_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.config.restarts.advances_soon, true) {
            ctx.notify_later(Soon, SOON);
        }
    }

    /// Forgets that pods have counted that are gone, or no longer of concern. Most are told of when they go; but one may
    /// have gone before its run had a Job, or have lost its labels.
    pub(super) fn prune_counted(&mut self, ctx: &mut Context<Self>) {
        let counted = &self.desk.config().counted;
        let watched = usize::try_from(self.watched).unwrap_or_default();
        if counted.len() <= watched + SLACK || self.config.restarts.is_pruning {
            return;
        }
        self.config.restarts.is_pruning = true;
        let asking = self.recall(counted.keys().cloned().collect());
        ctx.spawn(asking.into_actor(self).map(|answer, supervisor, _| {
            supervisor.config.restarts.is_pruning = false;
            if let Some(pods) = answer {
                supervisor.forget_all_but(&pods);
            }
        }));
    }

    /// How these pods are now, by their UIDs. As long as the hub has not caught up with what was there when it began, the
    /// API server is asked.
    fn recall(&self, pods: BTreeSet<String>) -> impl Future<Output = Option<Vec<Arc<Pod>>>> + use<> {
        let (cluster, namespace) = (self.around.cluster.clone(), self.declared.namespace.clone());
        let hub = self.around.pods.clone();
        async move {
            if let Ok(Some(known)) = hub.send(Recall(pods.clone())).await {
                return Some(known);
            }
            match cluster.pods_in(&namespace).await {
                Ok(all) => Some(all.into_iter().filter(|pod| pods.contains(&pod.uid)).collect()),
                Err(error) => {
                    warn!(namespace, %error, "how pods are is not known yet");
                    None
                }
            }
        }
    }

    fn forget_all_but(&mut self, pods: &[Arc<Pod>]) {
        let Some(trigger) = self.declared.spec.triggers.as_ref().map(Trigger::new) else { return };
        let is_there = pods.iter().filter(|pod| trigger.concerns(pod));
        let is_there: BTreeSet<&str> = is_there.map(|pod| pod.uid.as_str()).collect();
        let counted: Vec<String> = self.desk.config().counted.keys().cloned().collect();
        for pod in counted.iter().filter(|pod| !is_there.contains(pod.as_str())) {
            self.desk.pod_gone(pod);
        }
    }
}

impl Handler<StillThere> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: StillThere, ctx: &mut Self::Context) {
        let jobs = self.config.restarts.going.values().flatten().next().cloned();
        self.config.restarts.stuck = jobs.map(|job| {
            ctx.notify_later(StillThere, PATIENCE_WITH_JOBS);
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
        self.config.restarts.advances_soon = false;
        self.advance(ctx);
    }
}

impl Handler<Quiet> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Quiet, ctx: &mut Self::Context) {
        self.config.restarts.change = Change::Ripe;
        self.advance(ctx);
    }
}

impl Handler<LookAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookAgain, ctx: &mut Self::Context) {
        self.config.restarts.look_again = None;
        self.advance(ctx);
    }
}
