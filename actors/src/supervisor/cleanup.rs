//! Cleans up the Jobs of runs that are over and on record: those that started first, beyond the history limits, are
//! deleted, a template's TTL is given to the others, and a note to those that the status is too short to name.
//!
//! Duty: no Job goes before its run is told in the status, its output is settled, the checkpoint has
//! passed its transition, and no stored ledger names it; or it would be made anew after a crash. Nor
//! while another create of it may still be done.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    cleanup::{Action, Candidate, plan, ttl},
    fault::Class,
    job::Job,
    view::Stage,
};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::{Supervisor, runs::Runs};
use crate::cluster::jobs::{JobError, Pods, full_name};

/// A run that ends within so long, as most do, takes the place of another, whose Job goes: that needs no note.
const SHORT_RUN: Duration = Duration::from_secs(60);

/// How often it is looked at: the checkpoint moves with the Lease, each two seconds.
const PERIOD: Duration = Duration::from_secs(2);

/// What is under way.
#[derive(Default)]
pub(super) struct Cleanup {
    scheduled: bool,
    /// Jobs about which a request is under way.
    asked: HashSet<String>,
    /// Jobs of earlier terms that came late, by their UIDs. Whether they are anyone's is known when all is told
    /// that they can stand for.
    pub(super) strays: HashMap<String, Arc<Job>>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookRound;

impl Supervisor {
    /// Something may be there to be cleaned up soon.
    pub(super) fn clean_up_later(&mut self, ctx: &mut Context<Self>) {
        if !self.cleanup.scheduled {
            self.cleanup.scheduled = true;
            ctx.notify_later(LookRound, PERIOD);
        }
    }

    fn clean_up(&mut self, ctx: &mut Context<Self>) {
        // Before the ledger is known, it may name any Job as one to be made.
        if !self.is_on_record() {
            return self.clean_up_later(ctx);
        }
        self.judge_strays(ctx);
        self.delete_replaced(ctx);
        let Some(runs) = &mut self.runs else { return };
        let checkpoint = self.around.cluster.progress().stored();
        // Runs whose Jobs are gone are only counted from now on.
        let is_gone = |job: &String| !runs.jobs.contains_key(job) && !runs.unsettled.contains_key(job);
        let gone = runs.states.iter().filter(|(job, state)| state.told && is_gone(job));
        let gone: Vec<String> = gone.map(|(job, _)| job.clone()).collect();
        let mut open = false;
        for job in gone {
            if self.desk.forget(&job, checkpoint) {
                runs.forget(&job);
            } else {
                open = true;
            }
        }
        let planned = self.planned();
        open |= !planned.is_empty() || self.lacks_notes();
        let Some(runs) = &self.runs else { return };
        let going = planned.iter().filter(|(_, action)| *action != Action::Note);
        let names: Vec<&str> = going.map(|(job, _)| job.as_str()).collect();
        let free: HashSet<String> =
            self.desk.clean(names.iter().copied(), checkpoint).into_iter().map(str::to_owned).collect();
        let may = |(job, action): &(String, Action)| *action == Action::Note || free.contains(job);
        let now = planned.into_iter().filter(may).filter(|(job, _)| !self.cleanup.asked.contains(job));
        let creates = self.around.cluster.creates();
        let now: Vec<(Arc<Job>, Action)> = now
            .filter_map(|(job, action)| Some((Arc::clone(runs.jobs.get(&job)?), action)))
            .filter(|(job, _)| !creates.may_come(&full_name(job)))
            .collect();
        for (job, action) in now {
            match action {
                Action::Delete => self.delete_job(&job, Pods::Later, ctx),
                Action::SetTtl(seconds) => self.set_ttl(&job, seconds, ctx),
                Action::Note => self.note_settled(&job, ctx),
            }
        }
        if open || !self.cleanup.strays.is_empty() {
            self.clean_up_later(ctx);
        }
        self.prune_counted(ctx);
        self.tidy_ledger(ctx);
    }

    /// The Jobs of runs that are over.
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let is_named = |job: &str| self.declared.status.runs.iter().any(|run| run.job == job);
        self.runs.iter().flat_map(move |runs| {
            runs.jobs.iter().filter_map(move |(name, job)| {
                let state = runs.states.get(name)?;
                let Stage::Ended { failure, .. } = &state.stage else { return None };
                let recorded = state.told && !runs.unsettled.contains_key(name);
                let succeeded = failure.is_none();
                let unnoted = state.output_settled && !job.settled && !is_named(name);
                Some(Candidate {
                    job: name,
                    created: job.created,
                    succeeded,
                    recorded,
                    unnoted,
                    deleting: job.deleting,
                    ttl: job.ttl,
                })
            })
        })
    }

    /// What is to be done about them.
    fn planned(&self) -> Vec<(String, Action)> {
        let just_begun = self.runs.as_ref().map_or(0, just_begun);
        plan(self.candidates(), just_begun, &self.declared.spec, ttl(&self.declared.spec))
    }

    fn lacks_notes(&self) -> bool {
        self.candidates().any(|candidate| candidate.recorded && candidate.unnoted)
    }

    /// Sees to it that a later operator does not judge output again that has settled, and write what someone has taken away
    /// meanwhile: of a run that the status is too short to name the Job says so. That waits for no checkpoint.
    pub(super) fn note_kept(&mut self, ctx: &mut Context<Self>) {
        // This is asked with each status, and mostly there is none.
        if !self.lacks_notes() {
            return;
        }
        self.clean_up_later(ctx);
        for (name, action) in self.planned() {
            let job = self.runs.as_ref().and_then(|runs| runs.jobs.get(&name)).cloned();
            if let (Action::Note, Some(job), false) = (action, job, self.cleanup.asked.contains(&name)) {
                self.note_settled(&job, ctx);
            }
        }
    }

    /// Of what an earlier leader may have known all is settled when the checkpoint has passed the begin of this
    /// term: a Job that nothing stands for by then is a second one of a run that is over, and whose Job is gone.
    fn judge_strays(&mut self, ctx: &mut Context<Self>) {
        let checkpoint = self.around.cluster.progress().stored();
        if self.keeper.barrier.is_none_or(|barrier| checkpoint < barrier) {
            return;
        }
        for (_, job) in std::mem::take(&mut self.cleanup.strays) {
            let known = self.runs.as_ref().and_then(|runs| runs.jobs.get(&job.name));
            if known.is_none_or(|known| known.uid != job.uid) {
                self.delete_stray(&job, ctx);
            }
        }
    }

    /// Deletes a second Job of a run.
    pub(super) fn delete_stray(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) {
        let name = &job.name;
        let note = format!("Job {name} came late, for a run that is over and has had its Job; it is deleted");
        self.warn(reasons::STRAY_JOB, Some(name), note, ctx);
        self.delete_job(job, Pods::Later, ctx);
    }

    /// Deletes the Jobs in whose place others are to start, once that is told.
    pub(super) fn delete_replaced(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let replaced = runs.states.iter().filter(|(_, run)| run.told && run.is_replaced());
        let replaced: Vec<Arc<Job>> = replaced.filter_map(|(job, _)| runs.jobs.get(job).cloned()).collect();
        for job in replaced.iter().filter(|job| !job.deleting) {
            if !self.cleanup.asked.contains(&job.name) {
                self.delete_job(job, Pods::First, ctx);
            }
        }
    }

    fn delete_job(&mut self, job: &Arc<Job>, pods: Pods, ctx: &mut Context<Self>) {
        let (cluster, of) = (self.around.cluster.clone(), Arc::clone(job));
        let deleting = async move { cluster.delete_job(&of, pods).await };
        self.ask(job, deleting, ctx);
    }

    fn set_ttl(&mut self, job: &Arc<Job>, seconds: u32, ctx: &mut Context<Self>) {
        let (cluster, of) = (self.around.cluster.clone(), Arc::clone(job));
        let setting = async move { cluster.set_ttl(&of, seconds).await };
        self.ask(job, setting, ctx);
    }

    fn note_settled(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) {
        let (cluster, of) = (self.around.cluster.clone(), Arc::clone(job));
        let noting = async move { cluster.note_settled(&of).await };
        self.ask(job, noting, ctx);
    }

    /// Sends a request about a Job. One that fails is sent again at the next look.
    fn ask(
        &mut self,
        job: &Arc<Job>,
        request: impl Future<Output = Result<(), JobError>> + 'static,
        ctx: &mut Context<Self>,
    ) {
        let name = job.name.clone();
        self.cleanup.asked.insert(name.clone());
        ctx.spawn(request.into_actor(self).map(move |done, supervisor, ctx| {
            supervisor.cleanup.asked.remove(&name);
            match done {
                Err(error) if error.fault().class() == Class::NotFound => {
                    supervisor.span.in_scope(|| debug!(%error, "gone already"));
                    if let Some(runs) = &mut supervisor.runs {
                        runs.jobs.remove(&name);
                    }
                    supervisor.has_gone(&name);
                    supervisor.advance_soon(ctx);
                    supervisor.clean_up_later(ctx);
                }
                Err(error) => {
                    supervisor.span.in_scope(|| warn!(%error, "not cleaned up"));
                    supervisor.clean_up_later(ctx);
                }
                Ok(()) => {}
            }
        }));
    }
}

/// How many runs under way may be short ones.
fn just_begun(runs: &Runs) -> usize {
    let now = Timestamp::now();
    let is_young =
        |job: &Job| job.created.is_some_and(|created| now.duration_since(created).unsigned_abs() < SHORT_RUN);
    let is_active = |job: &Job| runs.states.get(&job.name).is_some_and(|run| run.stage == Stage::Active);
    runs.jobs.values().filter(|job| is_young(job) && is_active(job)).count()
}

impl Handler<LookRound> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookRound, ctx: &mut Self::Context) {
        self.cleanup.scheduled = false;
        self.clean_up(ctx);
    }
}
