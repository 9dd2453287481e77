//! The output of ended runs: sent to the writer of its target, and sent again until it has settled.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context};
use extendedjob_api::Target;
use extendedjob_decide::{job::Job, view::Stage};

use super::{Supervisor, runs::Runs};
use crate::{
    lifeline::Lifeline,
    messages::{ChildId, WriteOutput},
    output_writer::OutputWriter,
};

impl Supervisor {
    /// Sends an ended run's output on its way; says whether any is wished.
    pub(super) fn write_output(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) -> bool {
        let wish = self.declared.spec.output.as_ref().and_then(|output| output.stdout.clone());
        let (Some(runs), Some(wish), Some(end)) = (&mut self.runs, wish, job.end.clone()) else {
            return false;
        };
        let Some(target) = wish.target(&self.declared.namespace) else { return false };
        runs.unsettled.insert(job.name.clone());
        let order = WriteOutput { job: Arc::clone(job), end, wish };
        match self.writers.get(&target) {
            Some(writer) => writer.do_send(order),
            // It is sent again when the writer is back on its feet.
            None if self.writers.is_fallen(&target) => {}
            None => self.start_writer(target, ctx).do_send(order),
        }
        true
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
        let Some(runs) = &mut self.runs else { return };
        // Nothing is to be written any more of those whose Jobs are gone.
        let Runs { unsettled, busy, jobs, states, .. } = runs;
        unsettled.retain(|job| {
            let is_there = jobs.contains_key(job);
            if !is_there && states.get(job).is_none_or(|run| run.stage != Stage::Active) {
                busy.remove(job);
                states.entry(job.clone()).and_modify(|run| run.output_is_due = false);
            }
            is_there
        });
        let unsettled: Vec<_> = runs.unsettled.iter().filter_map(|job| runs.jobs.get(job).cloned()).collect();
        for job in &unsettled {
            // No output is wished any more: nothing of it is still to be written.
            if !self.write_output(job, ctx)
                && let Some(runs) = &mut self.runs
            {
                runs.busy.remove(&job.name);
                runs.unsettled.remove(&job.name);
                runs.states.entry(job.name.clone()).and_modify(|run| run.output_is_due = false);
                self.reporter.to_mark.push(Arc::clone(job));
            }
        }
    }

    /// The output of the ExtendedJob goes elsewhere now, or is written by other rules: so does what
    /// has not been written yet.
    pub(super) fn redirect_output(&mut self, ctx: &mut Context<Self>) {
        self.writers.let_all_go();
        self.write_unsettled(ctx);
    }
}
