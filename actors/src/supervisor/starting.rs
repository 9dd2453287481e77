//! Which runs start now: as many as the user, the brakes and the cluster let through, in their order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use actix::{AsyncContext, Context, Handler, SpawnHandle};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    brake::delay_until,
    desk,
    run::Run,
    view::{Template, Trouble},
};

use super::Supervisor;
use crate::{clock::steady, metrics::Brake};

/// What stands in the way of runs whose Jobs were tried to be made.
///
/// What hinders all runs, such as a quota, is found out on one of them, the probe: it is tried again and again, and
/// the others wait. But what hinders it may be its own alone. So beside it another is tried now and then, each in
/// its turn; if one gets through, the probe is none any more, and the others follow.
#[derive(Default)]
pub(super) struct Hindrances {
    of_jobs: BTreeMap<String, Hindrance>,
    /// The probe was refused again: another run may be tried.
    try_another: bool,
    /// Those that were tried beside the probe, in vain.
    in_vain: BTreeSet<String>,
    /// After a hindrance has passed, so many may be tried at a time: one by one it shows whether there
    /// is room for all.
    window: Option<usize>,
    /// What keeps the pods of a Job that is there from starting.
    stuck: BTreeMap<String, Trouble>,
    /// The first run that a brake holds back.
    braked: Option<Run>,
    /// Which brake that is, and what it has to say.
    brake: Option<(Brake, Trouble)>,
    look_again: Option<SpawnHandle>,
    grows_old: bool,
}

/// What stands in the way of one run that is tried again and again.
struct Hindrance {
    trouble: Trouble,
    /// It is no other run's.
    own: bool,
}

impl Hindrances {
    /// What to tell the user.
    pub(super) fn first(&self) -> Option<&Trouble> {
        let of_jobs = self.of_jobs.values().map(|hindrance| &hindrance.trouble);
        of_jobs.chain(self.stuck.values()).chain(self.brake.iter().map(|(_, trouble)| trouble)).next()
    }

    /// The brake that holds runs back.
    pub(super) fn brake_of_runs(&self) -> Option<Brake> {
        self.brake.as_ref().map(|(brake, _)| *brake)
    }

    /// The Job of this run has ended.
    pub(super) fn no_longer_stuck(&mut self, job: &str) {
        self.stuck.remove(job);
    }

    fn probe(&self) -> Option<&String> {
        self.of_jobs.iter().find(|(_, hindrance)| !hindrance.own).map(|(job, _)| job)
    }

    fn is_probe(&self, job: &str) -> bool {
        self.probe().is_some_and(|probe| probe == job)
    }

    /// The Job of this run was made: others get past what hinders the probe.
    pub(super) fn passed(&mut self, job: &str) {
        if !self.is_probe(job) {
            self.of_jobs.values_mut().for_each(|hindrance| hindrance.own = true);
        }
        self.in_vain.clear();
    }
}

/// With so many tried at a time there is room for all.
const WINDOW_MAX: usize = 64;

/// How long a round of [`Desk::grow_old`](extendedjob_decide::desk::Desk::grow_old) is.
const ROUND: Duration = Duration::from_secs(5);

/// A Job has been in the making for a while.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct GrowOld;

/// Time has passed: a brake may let more runs through.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain;

impl Supervisor {
    /// Starts the runs that may start, and has the others written down.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        self.take_up_requests(ctx);
        self.take_up_config(ctx);
        self.replace_runs(ctx);
        self.start_runs(ctx);
        self.look_at_brakes(ctx);
        self.write_ledger(ctx);
        self.report(ctx);
        self.count();
    }

    fn start_runs(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = &self.runs else { return };
        if self.declared.spec.triggers.is_some() && !self.keeper.book_written {
            return;
        }
        let is_held = self.may_not_start() || self.config.restarts.is_changing() || !self.is_on_record();
        if is_held || self.declared.deleting {
            return;
        }
        let limit = self.declared.spec.max_concurrent_runs.map(|limit| limit as usize);
        let window = self.hindrances.window;
        let below =
            |limit: Option<usize>, taken| limit.map_or(usize::MAX, |limit| limit.saturating_sub(taken));
        // Counted only where it matters: in a burst this is asked with each run.
        let making = if limit.or(window).is_some() { self.desk.making() } else { 0 };
        let room = below(limit, runs.busy.len() + making);
        if room == 0 {
            // Those that are tried again and again would come on top.
            self.put_hindered_back();
        }
        let probed = self.hindrances.probe().is_some();
        if probed && !self.hindrances.try_another {
            return;
        }
        let room = room.min(below(window, making)).min(if probed { 1 } else { usize::MAX });
        let (brakes, now, mut held) = (&mut self.brakes, steady(), None);
        let (in_vain, replacing) = (&self.hindrances.in_vain, &self.replacing);
        let started = self.desk.start(room, |run| {
            if probed && in_vain.contains(&run.job) || replacing.is_in_the_way(&run.root) {
                return false;
            }
            let passes = brakes.pass(run, now);
            if !passes && held.is_none() {
                held = Some(run.clone());
            }
            passes
        });
        if held.is_some() {
            self.desk.merge(|run| brakes.of(run, now) == desk::Brake::Open);
        }
        self.hindrances.braked = held;
        if probed {
            self.hindrances.try_another = false;
            if started.is_empty() {
                self.hindrances.in_vain.clear();
            }
        }
        if !(started.is_empty() || self.hindrances.grows_old) {
            self.hindrances.grows_old = true;
            ctx.notify_later(GrowOld, ROUND);
        }
        for run in started {
            let job = run.job.clone();
            self.start_runner(&job, Some(run), ctx);
        }
    }

    /// Whether no Job may be made at present: only an edit can help, or the first word on a new
    /// template is about to come. Where that fails to come, Jobs are made all the same.
    fn is_held(&self) -> bool {
        let stalled = matches!(self.template, Template::Invalid(_)) || self.problem.is_some();
        stalled || self.check.is_in_flight()
    }

    pub(super) fn may_not_start(&self) -> bool {
        self.is_held() || self.declared.spec.suspend || self.config.is_awaited()
    }

    fn look_at_brakes(&mut self, ctx: &mut Context<Self>) {
        let now = steady();
        self.brakes.forget_full(now);
        let told = self.hindrances.braked.as_ref().and_then(|run| self.brakes.tell(run, now));
        if let Some(handle) = self.hindrances.look_again.take() {
            ctx.cancel_future(handle);
        }
        let Some((brake, trouble, next)) = told else {
            self.hindrances.brake = None;
            return;
        };
        self.hindrances.look_again = Some(ctx.notify_later(LookAgain, delay_until(next, now)));
        if self.hindrances.brake.as_ref().is_none_or(|(_, told)| *told != trouble) {
            self.warn(trouble.reason, None, trouble.message.clone(), ctx);
            self.hindrances.brake = Some((brake, trouble));
        }
    }

    /// Something stands in the way of a run's Job.
    pub(super) fn run_hindered(&mut self, job: &str, trouble: Trouble, ctx: &mut Context<Self>) {
        // Word of a runner that was let go comes too late.
        if self.desk.waiting(job).is_none() || self.runners.get(&job.to_owned()).is_none() {
            return;
        }
        if self.may_not_start() {
            self.put_back(job);
            return self.advance(ctx);
        }
        // A name that is taken is one run's trouble.
        let known = self.hindrances.of_jobs.get(job);
        let own = trouble.reason == reasons::JOB_NAME_TAKEN || known.is_some_and(|known| known.own);
        if !own && self.hindrances.is_probe(job) {
            self.hindrances.try_another = true;
        } else if !own && self.hindrances.probe().is_some() {
            self.put_back(job);
            self.hindrances.in_vain.insert(job.to_owned());
            return self.advance(ctx);
        } else if !own {
            self.hindrances.window = Some(1);
        }
        self.desk.hinder(job);
        let hindrance = Hindrance { trouble: trouble.clone(), own };
        let before = self.hindrances.of_jobs.insert(job.to_owned(), hindrance);
        if before.is_none_or(|before| before.trouble != trouble) {
            self.warn(trouble.reason, None, trouble.message, ctx);
        }
        self.advance(ctx);
    }

    /// The pods of a run's Job can't start, or can again.
    pub(super) fn run_stuck(&mut self, job: &str, trouble: Option<Trouble>, ctx: &mut Context<Self>) {
        match trouble {
            Some(trouble) => {
                let note = format!("Job {job}: {}", trouble.message);
                self.warn(trouble.reason, Some(job), note, ctx);
                self.hindrances.stuck.insert(job.to_owned(), trouble);
            }
            None => self.hindrances.no_longer_stuck(job),
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
    }

    pub(super) fn put_hindered_back(&mut self) {
        let hindered: Vec<String> = self.hindrances.of_jobs.keys().cloned().collect();
        hindered.iter().for_each(|job| self.put_back(job));
    }

    /// After an edit no run may start: those whose Jobs are not made yet do not, either. (One that is made all
    /// the same, because the create was on its way, is taken up.)
    pub(super) fn hold_back(&mut self) {
        if self.may_not_start() {
            let in_hand: Vec<String> = self.desk.in_hand().map(|run| run.job.clone()).collect();
            in_hand.iter().for_each(|job| self.put_back(job));
        }
    }

    /// A run has its Job, or will never have one.
    pub(super) fn no_longer_hindered(&mut self, job: &str) {
        self.hindrances.of_jobs.remove(job);
        let doubled = self.hindrances.window.map(|window| window * 2);
        self.hindrances.window = doubled.filter(|window| *window <= WINDOW_MAX);
    }
}

impl Handler<GrowOld> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: GrowOld, ctx: &mut Self::Context) {
        self.desk.grow_old();
        self.hindrances.grows_old = self.desk.making() > 0;
        if self.hindrances.grows_old {
            ctx.notify_later(GrowOld, ROUND);
        }
        self.advance(ctx);
    }
}

impl Handler<LookAgain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: LookAgain, ctx: &mut Self::Context) {
        self.hindrances.look_again = None;
        self.advance(ctx);
    }
}
