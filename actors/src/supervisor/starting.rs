//! Which runs start now: as many as the user, the brakes and the cluster let through, in their order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use actix::{AsyncContext, Context, Handler, SpawnHandle};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    run::Run,
    view::{Template, Trouble},
};
use jiff::Timestamp;

use super::Supervisor;

/// What stands in the way of runs whose Jobs were tried to be made.
#[derive(Default)]
pub(super) struct Hindrances {
    of_jobs: BTreeMap<String, Trouble>,
    /// Those of them that others get past: what they have is no one else's.
    own: BTreeSet<String>,
    /// The probe was refused again: one other may be tried beside it, for it may be the probe's own trouble.
    beside: bool,
    /// Others that were tried so since a run got through, in vain.
    in_vain: BTreeSet<String>,
    /// After a hindrance has passed, so many may be tried at a time: one by one it shows whether there
    /// is room for all.
    window: Option<usize>,
    /// The first run that a brake holds back.
    braked: Option<Run>,
    /// What that brake has to say.
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
        let of_all = |(job, trouble): &(&String, &Trouble)| hinders_all(trouble) && !self.own.contains(*job);
        self.of_jobs.iter().find(of_all).map(|(job, _)| job)
    }

    /// A run has got through: what hinders the probe is not what hinders all.
    pub(super) fn passed(&mut self, job: &str) {
        if let Some(probe) = self.probe().filter(|probe| *probe != job).cloned() {
            self.own.insert(probe);
        }
        self.in_vain.clear();
    }
}

/// With so many tried at a time there is room for all.
const WINDOW_MAX: usize = 64;

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
        if self.declared.spec.triggers.is_some() && !self.keeper.book_written {
            return;
        }
        let probed = self.hindrances.probe().is_some();
        let held = self.is_held() || self.declared.spec.suspend || probed && !self.hindrances.beside;
        if held || self.declared.deleting {
            return;
        }
        let limit = self.declared.spec.max_concurrent_runs.map(|limit| limit as usize);
        let room = match (limit, self.hindrances.window) {
            (None, None) => usize::MAX,
            (limit, window) => {
                let making = self.desk.making();
                let below = |limit: Option<usize>, taken| {
                    limit.map_or(usize::MAX, |limit| limit.saturating_sub(taken))
                };
                below(limit, runs.busy.len() + making).min(below(window, making))
            }
        };
        let room = if probed { room.min(1) } else { room };
        let (brakes, now, mut held) = (&mut self.brakes, Timestamp::now(), None);
        let in_vain = &self.hindrances.in_vain;
        let started = self.desk.start(room, |run| {
            if probed && in_vain.contains(&run.job) {
                return false;
            }
            let passes = brakes.pass(run, now);
            if !passes && held.is_none() {
                held = Some(run.clone());
            }
            passes
        });
        self.hindrances.braked = held;
        if probed {
            self.hindrances.beside = false;
            if started.is_empty() {
                self.hindrances.in_vain.clear();
            }
        }
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
        let told = self.hindrances.braked.as_ref().and_then(|run| self.brakes.tell(run, now));
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
    /// one of them, and now and then with another.
    pub(super) fn run_hindered(&mut self, job: &str, trouble: Trouble, ctx: &mut Context<Self>) {
        if self.desk.waiting(job).is_none() {
            return;
        }
        if hinders_all(&trouble) && self.hindrances.probe().is_some_and(|probe| probe != job) {
            self.put_back(job);
            self.hindrances.in_vain.insert(job.to_owned());
        } else {
            if self.hindrances.probe().is_some_and(|probe| probe == job) {
                self.hindrances.beside = true;
            } else if hinders_all(&trouble) && !self.hindrances.own.contains(job) {
                self.hindrances.window = Some(1);
            }
            self.desk.hinder(job);
            if self.hindrances.of_jobs.insert(job.to_owned(), trouble.clone()).as_ref() != Some(&trouble) {
                self.warn(trouble.reason, None, trouble.message, ctx);
            }
        }
        self.advance(ctx);
    }

    /// A run waits for its turn again.
    fn put_back(&mut self, job: &str) {
        self.runners.let_go(&job.to_owned());
        if let Some(run) = self.desk.waiting(job) {
            self.brakes.give_back(run);
        }
        self.desk.put_back(job);
        self.hindrances.of_jobs.remove(job);
        self.hindrances.own.remove(job);
    }

    /// After an edit no run may start: those that are tried again and again are not, either.
    pub(super) fn hold_hindered(&mut self) {
        if self.is_held() || self.declared.spec.suspend {
            let hindered: Vec<String> = self.hindrances.of_jobs.keys().cloned().collect();
            hindered.iter().for_each(|job| self.put_back(job));
        }
    }

    /// A run has its Job, or will never have one.
    pub(super) fn no_longer_hindered(&mut self, job: &str) {
        self.hindrances.of_jobs.remove(job);
        self.hindrances.own.remove(job);
        let doubled = self.hindrances.window.map(|window| window * 2);
        self.hindrances.window = doubled.filter(|window| *window <= WINDOW_MAX);
    }
}

impl Handler<LookAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookAgain, ctx: &mut Self::Context) {
        self.hindrances.look_again = None;
        self.advance(ctx);
    }
}
