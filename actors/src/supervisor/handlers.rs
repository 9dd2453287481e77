//! What a Supervisor does with each message: guard, decide, pass on, report.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler};
use extendedjob_decide::{
    declared::Declared,
    view::{Gone, Stage, Template},
};

use super::{Revive, Runs, Supervisor, problems};
use crate::{
    lifeline::ChildEnded,
    messages::{
        ChildId, Edited, Fire, JobGone, JobSeen, JobSubscriber, JobsAtFirst, OutputSettled, RunNews, Sighted,
        SubscribeJobs,
    },
    trigger_watcher::Sight,
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
                self.sight = Sight::Baseline;
                if self.runs.is_some() {
                    self.start_watcher(ctx);
                }
            }
            if before.spec.output != self.declared.spec.output {
                self.redirect_output(ctx);
            }
            self.start_waiting(ctx);
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

impl Handler<Sighted> for Supervisor {
    type Result = ();

    fn handle(&mut self, Sighted(position): Sighted, _: &mut Self::Context) {
        self.sight = Sight::After(position);
    }
}

impl Handler<JobSeen> for Supervisor {
    type Result = ();

    fn handle(&mut self, JobSeen(job): JobSeen, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        if let Some(known) = runs.jobs.get_mut(&job.name) {
            *known = Arc::clone(&job);
        } else if self.runners.get(&job.name).is_none() {
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

impl Handler<RunNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: RunNews, ctx: &mut Self::Context) {
        match news {
            RunNews::Started { job, made_now } => self.run_started(&job, made_now, ctx),
            RunNews::Hindered { job, trouble } => self.run_hindered(&job, trouble, ctx),
            RunNews::Forsaken { job } => self.run_forsaken(&job, ctx),
            RunNews::Ended { job, end } => self.run_ended(&job, end.as_ref(), ctx),
        }
    }
}

impl Handler<OutputSettled> for Supervisor {
    type Result = ();

    fn handle(&mut self, OutputSettled { job, settled, done }: OutputSettled, ctx: &mut Self::Context) {
        let Some(runs) = &mut self.runs else { return };
        if done && runs.unsettled.remove(&job) {
            self.reporter.to_mark.extend(runs.jobs.get(&job).cloned());
        }
        let Some(state) = runs.states.get_mut(&job) else { return };
        if state.output.as_ref() == Some(&settled) {
            return self.report(ctx);
        }
        let trouble = settled.trouble.clone();
        state.output = Some(settled);
        if let Some(trouble) = trouble {
            let note = format!("Output of Job {job}: {}", trouble.message);
            self.warn(trouble.reason, Some(&job), note, ctx);
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
