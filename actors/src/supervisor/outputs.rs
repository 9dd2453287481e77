//! The output of attempts: sent to the writer of its target, and sent again until it has settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix::{Actor, Addr, AsyncContext, Context};
use extendedjob_api::{StreamOutput, Target};
use extendedjob_decide::{attempts::AttemptEnd, job::Job, view::Outcome};

use super::{Supervisor, runs::Runs};
use crate::{
    lifeline::Lifeline,
    messages::{ChildId, Logs, OutputSettled, WriteOutput},
    output_writer::OutputWriter,
};

/// The output of a run that is on its way.
#[derive(Default)]
pub(super) struct Unsettled {
    /// Its attempts that are over, and whose output has not settled, by their ids.
    attempts: BTreeMap<String, WriteOutput>,
    /// Those of them that have not been tried yet.
    untried: BTreeSet<String>,
    /// The run is over: no more attempts come.
    is_over: bool,
}

impl Unsettled {
    /// Whether attempts may come that nobody has told of yet.
    pub(super) fn may_bring_more(&self) -> bool {
        !self.is_over
    }
}

impl Supervisor {
    /// Whether the output of a run is wished.
    fn output_is_wished(&self) -> bool {
        self.output_wish().is_some()
    }

    fn output_wish(&self) -> Option<StreamOutput> {
        self.declared.spec.output.as_ref()?.stdout.clone()
    }

    /// Output of this Job is to come, or may have come without anyone's knowing what became of it.
    pub(super) fn expect_output(&mut self, job: &Job) {
        if !job.settled
            && self.output_is_wished()
            && let Some(runs) = &mut self.runs
        {
            runs.unsettled.entry(job.name.clone()).or_default();
        }
    }

    /// An attempt of a run is over: its output goes on its way.
    pub(super) fn attempt_ended(
        &mut self,
        job: &Arc<Job>,
        attempt: AttemptEnd,
        followed: Logs,
        ctx: &mut Context<Self>,
    ) {
        let (Some(wish), Some(runs)) = (self.output_wish(), &mut self.runs) else { return };
        if job.settled {
            return;
        }
        let order = WriteOutput {
            job: Arc::clone(job),
            attempt: Arc::new(attempt),
            followed: Arc::new(followed),
            wish,
        };
        let unsettled = runs.unsettled.entry(job.name.clone()).or_default();
        unsettled.untried.insert(order.attempt.id.clone());
        unsettled.attempts.insert(order.attempt.id.clone(), order.clone());
        self.write_output(order, ctx);
    }

    /// A run is over; says whether its output has still to be tried.
    pub(super) fn output_is_due(&mut self, job: &Arc<Job>) -> bool {
        let Some(runs) = &mut self.runs else { return false };
        let Some(unsettled) = runs.unsettled.get_mut(&job.name) else { return false };
        unsettled.is_over = true;
        if unsettled.attempts.is_empty() {
            runs.unsettled.remove(&job.name);
            let state = runs.states.get_mut(&job.name);
            // No attempt was made, or none is left to be told of.
            state
                .into_iter()
                .for_each(|run| run.output = run.output.take().or_else(|| Some(Outcome::default())));
            self.reporter.to_mark.push(Arc::clone(job));
            return false;
        }
        !unsettled.untried.is_empty()
    }

    /// Something became of an attempt's output.
    pub(super) fn output_settled(&mut self, told: OutputSettled, ctx: &mut Context<Self>) {
        let OutputSettled { job, attempt, settled, done } = told;
        self.clean_up_later(ctx);
        let Some(runs) = &mut self.runs else { return };
        let Some(unsettled) = runs.unsettled.get_mut(&job) else { return };
        unsettled.untried.remove(&attempt);
        if done {
            unsettled.attempts.remove(&attempt);
        }
        let was_tried = unsettled.is_over && unsettled.untried.is_empty();
        if unsettled.is_over && unsettled.attempts.is_empty() {
            runs.unsettled.remove(&job);
            self.reporter.to_mark.extend(runs.jobs.get(&job).cloned());
        }
        if was_tried {
            // Tried once, it no longer keeps others from starting.
            runs.busy.remove(&job);
        }
        let Some(state) = runs.states.get_mut(&job) else { return };
        state.output_is_due &= !was_tried;
        let before = state.output.clone();
        let trouble = settled.trouble.clone();
        state.output.get_or_insert_default().take_in(&attempt, settled);
        if state.output != before
            && let Some(trouble) = trouble
        {
            let note = format!("Output of Job {job}: {}", trouble.message);
            self.warn(trouble.reason, Some(&job), note, ctx);
        }
        self.advance(ctx);
    }

    fn write_output(&mut self, order: WriteOutput, ctx: &mut Context<Self>) {
        let Some(target) = order.wish.target(&self.declared.namespace) else { return };
        match self.writers.get(&target) {
            Some(writer) => writer.do_send(order),
            // It is sent again when the writer is back on its feet.
            None if self.writers.is_fallen(&target) => {}
            None => self.start_writer(target, ctx).do_send(order),
        }
    }

    /// Starts the writer of a target.
    pub(super) fn start_writer(&mut self, target: Target, ctx: &mut Context<Self>) -> Addr<OutputWriter> {
        let (cluster, me) = (self.around.cluster.clone(), ctx.address());
        let extended_job = format!("{}/{}", self.declared.namespace, self.declared.name);
        let id = ChildId::OutputWriter(target.clone());
        self.writers.start(target.clone(), |generation| {
            let lifeline = Lifeline::new(id, generation, me.clone().recipient());
            OutputWriter::new(cluster, target, extended_job, me.recipient(), lifeline).start()
        })
    }

    /// Sends all outputs on their way that have not settled.
    pub(super) fn write_unsettled(&mut self, ctx: &mut Context<Self>) {
        let wish = self.output_wish();
        let Some(runs) = &mut self.runs else { return };
        let Runs { unsettled, busy, jobs, states, .. } = runs;
        let mut orders = vec![];
        unsettled.retain(|job, unsettled| {
            if let (Some(wish), true) = (&wish, jobs.contains_key(job) || !unsettled.is_over) {
                unsettled.attempts.values_mut().for_each(|order| order.wish = wish.clone());
                orders.extend(unsettled.attempts.values().cloned());
                return true;
            }
            // Its Job is gone, or no output is wished any more: nothing of it is still to be written.
            if unsettled.is_over {
                busy.remove(job);
            }
            states.entry(job.clone()).and_modify(|run| run.output_is_due = false);
            self.reporter.to_mark.extend(jobs.get(job).cloned());
            false
        });
        for order in orders {
            self.write_output(order, ctx);
        }
    }

    /// The output of the ExtendedJob goes elsewhere now, or is written by other rules: so does what
    /// has not been written yet.
    pub(super) fn redirect_output(&mut self, ctx: &mut Context<Self>) {
        self.writers.let_all_go();
        self.write_unsettled(ctx);
    }
}
