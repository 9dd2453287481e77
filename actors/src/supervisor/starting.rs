//! Which runs start now: as many as the user, the brakes and the cluster let through, in their order.

use std::{collections::BTreeMap, time::Duration};

use actix::{AsyncContext, Context, Handler, SpawnHandle};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::view::{Template, Trouble};
use jiff::Timestamp;

use super::Supervisor;

/// What stands in the way of runs whose Jobs were tried to be made.
#[derive(Default)]
pub(super) struct Hindrances {
    of_jobs: BTreeMap<String, Trouble>,
    /// What a brake that is open has to say.
    brake: Option<Trouble>,
    look_again: Option<SpawnHandle>,
}

impl Hindrances {
    /// What to tell the user.
    pub(super) fn first(&self) -> Option<&Trouble> {
        self.of_jobs.values().next().or(self.brake.as_ref())
    }

    /// A run on which it is tried whether what hinders all of them has passed.
    fn probe(&self) -> Option<&String> {
        self.of_jobs.iter().find(|(_, trouble)| hinders_all(trouble)).map(|(job, _)| job)
    }
}

/// Whether a trouble is not that of one run alone.
fn hinders_all(trouble: &Trouble) -> bool {
    trouble.reason != reasons::JOB_NAME_TAKEN
}

/// Time has passed: a brake may let more runs through.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain;

impl Supervisor {
    /// Starts the runs that may start, and has the others written down.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        self.start_runs(ctx);
        self.look_at_brakes(ctx);
        self.write_ledger(ctx);
        self.report(ctx);
    }

    fn start_runs(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        let held = self.is_held() || self.declared.spec.suspend || self.hindrances.probe().is_some();
        if held || self.declared.deleting {
            return;
        }
        let room = match self.declared.spec.max_concurrent_runs {
            Some(limit) => (limit as usize).saturating_sub(runs.busy.len() + self.desk.in_hand().count()),
            None => usize::MAX,
        };
        let (brakes, now) = (&mut self.brakes, Timestamp::now());
        let started = self.desk.start(room, |run| brakes.pass(run, now));
        for run in started {
            let job = run.job.clone();
            self.start_runner(&job, Some(run), ctx);
        }
    }

    /// Whether no Job may be made at present: only an edit can help, or the first word on a new
    /// template is about to come. Where that fails to come, Jobs are made all the same.
    fn is_held(&self) -> bool {
        let stalled = matches!(self.template, Template::Invalid(_)) || !self.problems.is_empty();
        stalled || self.check.is_in_flight()
    }

    fn look_at_brakes(&mut self, ctx: &mut Context<Self>) {
        let now = Timestamp::now();
        let told = self.desk.idle().find_map(|run| self.brakes.tell(run, now));
        if let Some(handle) = self.hindrances.look_again.take() {
            ctx.cancel_future(handle);
        }
        let Some((trouble, next)) = told else {
            self.hindrances.brake = None;
            return self.brakes.forget_full(now);
        };
        let delay = Duration::try_from(next.duration_since(now)).unwrap_or_default();
        // Never at once: a bucket counts in whole milliseconds.
        let delay = delay.max(Duration::from_millis(10));
        self.hindrances.look_again = Some(ctx.notify_later(LookAgain, delay));
        if self.hindrances.brake.as_ref() != Some(&trouble) {
            self.warn(trouble.reason, None, trouble.message.clone(), ctx);
            self.hindrances.brake = Some(trouble);
        }
    }

    /// Something stands in the way of a run's Job. What stands in the way of all is tried again with
    /// one of them.
    pub(super) fn run_hindered(&mut self, job: &str, trouble: Trouble, ctx: &mut Context<Self>) {
        if self.desk.waiting(job).is_none() {
            return;
        }
        if hinders_all(&trouble) && self.hindrances.probe().is_some_and(|probe| probe != job) {
            self.runners.let_go(&job.to_owned());
            self.desk.put_back(job);
        } else {
            self.desk.hinder(job);
            if self.hindrances.of_jobs.insert(job.to_owned(), trouble.clone()).as_ref() != Some(&trouble) {
                self.warn(trouble.reason, None, trouble.message, ctx);
            }
        }
        self.advance(ctx);
    }

    /// Nothing stands in the way of a run any more.
    pub(super) fn no_longer_hindered(&mut self, job: &str) {
        self.hindrances.of_jobs.remove(job);
    }
}

impl Handler<LookAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookAgain, ctx: &mut Self::Context) {
        self.hindrances.look_again = None;
        self.advance(ctx);
    }
}
