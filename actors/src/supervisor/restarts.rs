//! Runs start again when what their pods use of ConfigMaps and Secrets has changed.
//!
//! ```text
//! a digest differs ──(quiet for a second)──► ripe ──(none in the making; pods recalled)──► revised
//!        ──(the ledger is written)──► Jobs under way are told as replaced, and deleted ──► their runs start
//! ```
//!
//! Duty: revision, digests and the runs that start again stand in the ledger by one write, before anything follows from it;
//! see [`replacing`](super::replacing).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

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
use tracing::info;

use super::Supervisor;
use crate::{
    clock::{later, steady},
    messages::FindCircle,
};

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
    /// What has made runs start again, to be told when it is on record.
    news: BTreeSet<Object>,
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

/// Time has passed: the brake may let runs start again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain;

impl Restarts {
    /// Whether a change is about to be put on record: what starts before that would start twice.
    pub(super) fn is_changing(&self) -> bool {
        !matches!(self.change, Change::None) && !self.is_braked
    }

    /// Whether a brake keeps runs from starting again.
    pub(super) fn is_held(&self) -> bool {
        self.is_braked
    }

    /// Why runs don't start again for now.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.brake.as_ref()
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
            self.config.restarts.bucket.take(self.around.limits.restarts, steady());
        }
        let waited = self.desk.len();
        self.desk.revise(&self.declared, digests, &changed, again);
        let (revision, runs) = (self.desk.revision(), self.desk.len() - waited);
        let changes = listed(&changed);
        self.span.in_scope(|| info!(changed = changes, revision, runs, "what the pods use has changed"));
        if runs > 0 {
            self.around.cluster.metrics().config_restart();
            self.config.restarts.news.extend(changed);
        }
        self.replacing.is_due = true;
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
        let (limit, now) = (self.around.limits.restarts, steady());
        if self.config.restarts.bucket.has_token(limit, now) {
            self.release_brake();
            return false;
        }
        if let Some(handle) = self.config.restarts.look_again.take() {
            ctx.cancel_future(handle);
        }
        let delay = delay_until(self.config.restarts.bucket.next(limit), now);
        self.config.restarts.look_again = Some(ctx.notify_later(LookAgain, delay));
        if std::mem::replace(&mut self.config.restarts.is_braked, true) {
            return true;
        }
        let next = later(Timestamp::now(), delay);
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
