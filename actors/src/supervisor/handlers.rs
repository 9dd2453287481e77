//! What a Supervisor does with each message: guard, decide, pass on, report.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler};
use extendedjob_decide::{
    declared::Declared,
    status::{Gone, Stage, Template},
};
use jiff::{Timestamp, ToSpan};

use super::{Revive, Runs, Supervisor, problems};
use crate::{
    lifeline::ChildEnded,
    messages::{
        ChildId, Edited, Fire, JobGone, JobSeen, JobSubscriber, JobsAtFirst, OutputSettled, RunEnded,
        RunForsaken, RunHindered, RunStarted, SubscribeJobs,
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
        self.around.jobs.do_send(SubscribeJobs { owner: self.declared.uid.clone(), subscriber });
        self.check_template(ctx);
    }
}

impl Handler<JobsAtFirst> for Supervisor {
    type Result = ();

    /// Memory is rebuilt: only now may runs start.
    fn handle(&mut self, JobsAtFirst(jobs): JobsAtFirst, ctx: &mut Self::Context) {
        let mut runs = Runs::default();
        for job in &jobs {
            runs.adopt(&self.declared, job);
        }
        runs.gone = Gone::beyond(&self.declared.status, &runs.states);
        self.runs = Some(runs);
        for job in &jobs {
            if job.end.is_none() {
                self.start_runner(&job.name, ctx);
            } else if !job.settled {
                self.write_output(job, ctx);
            }
        }
        self.take_up_once(ctx);
        if !self.declared.deleting {
            self.start_watcher(ctx);
        }
        self.report(ctx);
    }
}

impl Handler<Edited> for Supervisor {
    type Result = ();

    fn handle(&mut self, Edited(declared): Edited, ctx: &mut Self::Context) {
        let before: Arc<Declared> = std::mem::replace(&mut self.declared, declared);
        if self.declared.deleting {
            self.wind_up();
            return;
        }
        if before.generation != self.declared.generation {
            self.problems = problems(&self.declared);
            if before.spec.template.get() != self.declared.spec.template.get() {
                self.template = Template::Unchecked;
                self.check_template(ctx);
            }
            if before.spec.triggers != self.declared.spec.triggers {
                // Stamps have whole seconds: what is ready in this very second is of before.
                self.baseline = Timestamp::now().checked_add(1.second()).unwrap_or(Timestamp::MAX);
                if self.runs.is_some() {
                    self.start_watcher(ctx);
                }
            }
            for runner in self.runners.all() {
                runner.do_send(Edited(Arc::clone(&self.declared)));
            }
        }
        self.report(ctx);
    }
}

impl Handler<Fire> for Supervisor {
    type Result = ();

    fn handle(&mut self, Fire(run): Fire, ctx: &mut Self::Context) {
        self.take_up(run, ctx);
    }
}

impl Handler<JobSeen> for Supervisor {
    type Result = ();

    fn handle(&mut self, JobSeen(job): JobSeen, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        if let Some(known) = runs.jobs.get_mut(&job.name) {
            *known = Arc::clone(&job);
        } else if !runs.waiting.contains_key(&job.name) {
            // Made by an operator before this one, whose word came late.
            runs.adopt(&self.declared, &job);
            self.start_runner(&job.name, ctx);
            self.report(ctx);
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
        let Some(runs) = &mut self.runs else { return };
        runs.jobs.remove(&job.name);
        if let Some(runner) = self.runners.get(&job.name) {
            runner.do_send(JobGone(job));
        } else if runs.states.get(&job.name).is_some_and(|run| run.stage == Stage::Active) {
            self.run_ended(&job, job.end.as_ref(), ctx);
        }
    }
}

impl Handler<RunStarted> for Supervisor {
    type Result = ();

    fn handle(&mut self, RunStarted { job, made_now }: RunStarted, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        let because = runs.waiting.get(&job.name).map(extendedjob_decide::run::Run::because);
        runs.adopt(&self.declared, &job);
        if let (true, Some(because)) = (made_now, because) {
            self.note("Started", format!("Started Job {}: {because}", job.name), ctx);
        }
        self.report(ctx);
    }
}

impl Handler<RunHindered> for Supervisor {
    type Result = ();

    fn handle(&mut self, RunHindered { job, trouble }: RunHindered, ctx: &mut Self::Context) {
        let Some(state) = self.runs.as_mut().and_then(|runs| runs.states.get_mut(&job)) else { return };
        let stage = Stage::Waiting(Some(trouble.clone()));
        if state.stage != stage {
            state.stage = stage;
            self.warn(trouble.reason, trouble.message, ctx);
            self.report(ctx);
        }
    }
}

impl Handler<RunForsaken> for Supervisor {
    type Result = ();

    fn handle(&mut self, RunForsaken { job }: RunForsaken, ctx: &mut Self::Context) {
        self.runners.let_go(&job);
        if let Some(runs) = &mut self.runs {
            runs.waiting.remove(&job);
            runs.states.remove(&job);
        }
        self.report(ctx);
    }
}

impl Handler<RunEnded> for Supervisor {
    type Result = ();

    fn handle(&mut self, RunEnded { job, end }: RunEnded, ctx: &mut Self::Context) {
        self.run_ended(&job, end.as_ref(), ctx);
    }
}

impl Handler<OutputSettled> for Supervisor {
    type Result = ();

    fn handle(&mut self, OutputSettled { job, settled, done }: OutputSettled, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        if done {
            runs.unsettled.remove(&job);
        }
        let Some(state) = runs.states.get_mut(&job) else { return };
        if state.output.as_ref() == Some(&settled) {
            return;
        }
        let trouble = settled.trouble.clone();
        state.output = Some(settled);
        if let Some(trouble) = trouble {
            self.warn(trouble.reason, format!("Output of Job {job}: {}", trouble.message), ctx);
        }
        self.report(ctx);
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
