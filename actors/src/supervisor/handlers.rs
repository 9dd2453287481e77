//! What a Supervisor does with each message: guard, decide, pass on, report.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler};
use extendedjob_api::RunResult;
use extendedjob_decide::{
    declared::Declared,
    ledger::terms,
    view::{Gone, Stage, Template},
};

use super::{
    Revive, Supervisor,
    runs::{Runs, was_told},
};
use crate::{
    clock::steady,
    lifeline::ChildEnded,
    messages::{
        Befell, BookNews, ChildId, ConfigSeen, ConfigUnread, Edited, Fire, JobGone, JobSeen, JobSubscriber,
        JobsAtFirst, OutputSettled, PodsWatched, RunNews, Sighted, SubscribeJobs, WaysChanged,
    },
};

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let me = ctx.address();
        let subscriber = JobSubscriber {
            at_first: me.clone().recipient(),
            seen: me.clone().recipient(),
            gone: me.recipient(),
        };
        let Declared { namespace, uid, .. } = &*self.declared;
        let (namespace, owner) = (namespace.clone(), uid.clone());
        self.around.jobs.do_send(SubscribeJobs { namespace, owner, subscriber });
        self.watch_config(ctx);
        self.check_template(ctx);
        self.read_ledger(ctx);
    }
}

impl Handler<JobsAtFirst> for Supervisor {
    type Result = ();

    /// Memory is rebuilt: only now may runs start.
    fn handle(&mut self, JobsAtFirst(jobs): JobsAtFirst, ctx: &mut Self::Context) {
        let mut runs = Runs::default();
        for job in &jobs {
            // What nobody has told of ends now.
            runs.adopt(
                &self.declared,
                job,
                job.end.as_ref().filter(|_| was_told(&self.declared.status, job)),
            );
        }
        runs.gone = Gone::beyond(&self.declared.status, &runs.states);
        let deleted = runs.adopt_deleted(&self.declared.status);
        self.runs = Some(runs);
        for job in &deleted {
            self.count_end(RunResult::Deleted);
            self.tell_deleted(job, " (while no operator ran)", ctx);
        }
        for job in &jobs {
            self.expect_output(job);
            self.start_runner(&job.name, None, ctx);
        }
        self.take_in_ledger();
        self.advance(ctx);
        self.start_watcher(ctx);
    }
}

impl Handler<Edited> for Supervisor {
    type Result = ();

    fn handle(&mut self, Edited(declared): Edited, ctx: &mut Self::Context) {
        if declared.is_older_than(&self.declared) {
            return;
        }
        let before: Arc<Declared> = std::mem::replace(&mut self.declared, declared);
        if self.declared.deleting {
            self.wind_up();
            return;
        }
        if before.generation != self.declared.generation {
            self.problem = self.declared.problem(&self.around.ways.borrow(), self.around.cluster.served());
            if before.spec.template.get() != self.declared.spec.template.get() {
                self.template = Template::Unchecked;
                self.check_template(ctx);
            }
            if terms(&before.spec) != self.terms() {
                self.rebase();
            }
            if before.spec.output.is_none() && self.declared.spec.output.is_some() {
                self.output_is_wanted_from_now_on();
            }
            if before.spec.output != self.declared.spec.output {
                self.redirect_output(ctx);
            }
            if !before.spec.update_on_config_change {
                self.read_ledger(ctx);
            }
            self.watch_config(ctx);
            self.hold_back();
            for runner in self.runners.all() {
                runner.do_send(Edited(Arc::clone(&self.declared)));
            }
        }
        self.clean_up_later(ctx);
        self.advance(ctx);
    }
}

impl Handler<ConfigSeen> for Supervisor {
    type Result = ();

    fn handle(&mut self, seen: ConfigSeen, ctx: &mut Self::Context) {
        self.config_seen(seen, ctx);
    }
}

impl Handler<ConfigUnread> for Supervisor {
    type Result = ();

    fn handle(&mut self, unread: ConfigUnread, ctx: &mut Self::Context) {
        self.config_unread(unread, ctx);
    }
}

impl Handler<WaysChanged> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: WaysChanged, ctx: &mut Self::Context) {
        let problem = self.declared.problem(&self.around.ways.borrow(), self.around.cluster.served());
        if std::mem::replace(&mut self.problem, problem) != self.problem {
            // What was not to be written for that, or is not to be now.
            self.write_unsettled(ctx);
        }
        // Jobs are built in another way.
        self.template = Template::Unchecked;
        self.check_template(ctx);
        self.hold_back();
        self.advance(ctx);
    }
}

impl Handler<Sighted> for Supervisor {
    type Result = ();

    fn handle(&mut self, sighted: Sighted, ctx: &mut Self::Context) {
        self.sighted(sighted, ctx);
    }
}

impl Handler<Fire> for Supervisor {
    type Result = ();

    fn handle(&mut self, Fire { receipt, seen, observed, run, gone }: Fire, ctx: &mut Self::Context) {
        if let Some(pod) = gone {
            self.desk.pod_gone(&pod);
        }
        let Some(run) = run else {
            // A run that was fired before the trigger was edited may still need it.
            if !self.desk.holds(receipt) {
                self.settle(vec![receipt]);
            }
            return;
        };
        let brake = self.brakes.of(&run, steady());
        let known = self.desk.newest(&run.root);
        if known.is_none() {
            self.counts.fired(&run);
        }
        if known.is_none_or(|job| self.desk.waiting(job).is_some()) {
            self.counts.observed(&run, observed);
        }
        let run = run.under(&self.declared, self.desk.revision());
        let settled = self.desk.fire(run, seen, Some(receipt), brake);
        self.settle(settled);
        self.hold_nobody_back();
        self.advance(ctx);
    }
}

impl Handler<BookNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, BookNews { error, .. }: BookNews, ctx: &mut Self::Context) {
        match error {
            None => {
                self.keeper.book_written = true;
                self.keeper.trouble = None;
            }
            Some(error) => self.nothing_on_record(&error, ctx),
        }
        self.advance(ctx);
    }
}

impl Handler<PodsWatched> for Supervisor {
    type Result = ();

    fn handle(&mut self, PodsWatched { pods, .. }: PodsWatched, ctx: &mut Self::Context) {
        self.watched = i64::try_from(pods).unwrap_or(i64::MAX);
        self.report_later(ctx);
    }
}

impl Handler<JobSeen> for Supervisor {
    type Result = ();

    fn handle(&mut self, JobSeen(job): JobSeen, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        if let Some(known) = runs.jobs.get_mut(&job.name) {
            *known = Arc::clone(&job);
        } else if self.runners.get(&job.name).is_none() {
            return self.job_appeared(&job, ctx);
        }
        if let Some(runner) = self.runners.get(&job.name) {
            runner.do_send(JobSeen(job));
        }
    }
}

impl Handler<JobGone> for Supervisor {
    type Result = ();

    /// The run stays known, so that it is not made anew.
    fn handle(&mut self, JobGone(job): JobGone, ctx: &mut Self::Context) {
        self.clean_up_later(ctx);
        self.cleanup.strays.remove(&job.uid);
        let is_replaced = self.is_replaced(&job.name);
        let Some(runs) = &mut self.runs else { return };
        if runs.jobs.get(&job.name).is_some_and(|known| known.uid != job.uid) {
            // Another one bears its name by now.
            return;
        }
        runs.jobs.remove(&job.name);
        if is_replaced {
            self.has_gone(&job.name);
            return self.advance_soon(ctx);
        }
        if let Some(runner) = self.runners.get(&job.name) {
            runner.do_send(JobGone(job));
        } else if runs.states.get(&job.name).is_some_and(|run| run.stage == Stage::Active) {
            self.run_ended(&job, job.end.as_ref(), vec![], ctx);
        }
    }
}

impl Handler<RunNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: RunNews, ctx: &mut Self::Context) {
        // Of one in whose place another one is to start, the last words of its runner change nothing.
        if self.is_replaced(news.job()) {
            return;
        }
        match news {
            RunNews::Started { job, made_now } => self.run_started(&job, made_now, ctx),
            RunNews::Hindered { job, trouble } => self.run_hindered(&job, trouble, ctx),
            RunNews::Stuck { job, trouble } => self.run_stuck(&job, trouble, ctx),
            RunNews::Forsaken { job } => self.run_forsaken(&job, ctx),
            RunNews::AttemptEnded { job, attempt, followed } => {
                self.attempt_ended(&job, attempt, followed, ctx);
            }
            RunNews::Ended { job, end, containers } => {
                self.run_ended(&job, end.as_ref(), containers, ctx);
            }
        }
    }
}

impl Handler<OutputSettled> for Supervisor {
    type Result = ();

    fn handle(&mut self, told: OutputSettled, ctx: &mut Self::Context) {
        self.output_settled(told, ctx);
    }
}

impl Handler<Befell> for Supervisor {
    type Result = ();

    fn handle(&mut self, Befell { trouble, job, .. }: Befell, ctx: &mut Self::Context) {
        self.warn(trouble.reason, Some(&job), trouble.message, ctx);
    }
}

impl Handler<ChildEnded<ChildId>> for Supervisor {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<ChildId>, ctx: &mut Self::Context) {
        self.child_ended(ended, ctx);
    }
}

impl Handler<Revive> for Supervisor {
    type Result = ();

    fn handle(&mut self, Revive(id): Revive, ctx: &mut Self::Context) {
        self.revive(&id, ctx);
    }
}
