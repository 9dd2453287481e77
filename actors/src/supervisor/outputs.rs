//! The output of attempts: sent to the writer of its target, and sent again until it has settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix::{Actor, Addr, AsyncContext, Context};
use extendedjob_api::{Target, conditions::reasons};
use extendedjob_decide::{
    attempts::AttemptEnd,
    job::Job,
    output::Wish,
    view::{Outcome, Replaced, RunState, Settled, Stage, Trouble},
};
use tracing::error_span;

use super::{Supervisor, runs::Runs};
use crate::{
    lifeline::Lifeline,
    messages::{Attempted, Befell, ChildId, Logs, OutputSettled, WriteOutput},
    output_writer::OutputWriter,
};

/// The output of a run that is on its way.
#[derive(Default)]
pub(super) struct Unsettled {
    /// The Job, once an attempt of it is over.
    job: Option<Arc<Job>>,
    /// Attempts for which not all orders are given yet: for versioned output they are when the run is over, for one that
    /// can't be as it is asked for when it is mended.
    held: Vec<Arc<Attempted>>,
    /// So many of them have their orders, but for versioned output.
    ordered: usize,
    /// Orders that have not settled, by their ids.
    orders: BTreeMap<String, WriteOutput>,
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

    /// Nothing of it is on its way, and nothing more comes.
    fn is_settled(&self) -> bool {
        self.is_over && self.orders.is_empty() && self.held.is_empty()
    }

    /// The orders for attempts for which none is given yet, as far as they can be given.
    fn orders_for_held(&mut self, wishes: &[Arc<Wish>]) -> Vec<WriteOutput> {
        let Some(job) = self.job.clone().filter(|_| !self.held.is_empty()) else { return vec![] };
        let (at_end, at_once): (Vec<_>, Vec<_>) = wishes.iter().cloned().partition(|wish| wish.versioned);
        let mut orders = vec![];
        for attempted in self.held.split_off(self.ordered) {
            for wish in &at_once {
                let id = order_id(&attempted.end, &wish.target);
                orders.push(self.order(id, &job, vec![Arc::clone(&attempted)], Arc::clone(wish)));
            }
            self.held.push(attempted);
        }
        self.ordered = self.held.len();
        if at_end.is_empty() || self.is_over {
            let held = std::mem::take(&mut self.held);
            self.ordered = 0;
            for wish in at_end {
                let id = format!("all to {}", wish.target);
                orders.push(self.order(id, &job, held.clone(), wish));
            }
        }
        orders
    }

    /// What is ordered is to be written in another way: no order is given yet. Says which were.
    fn take_back(&mut self) -> Vec<String> {
        let orders = std::mem::take(&mut self.orders);
        let ids = orders.keys().cloned().collect();
        let ordered = orders.into_values().flat_map(|order| order.attempts.to_vec());
        let held = std::mem::take(&mut self.held);
        let all = held.into_iter().chain(ordered);
        let all: BTreeMap<_, _> = all.map(|it| ((it.end.at, it.end.id.clone(), it.end.index), it)).collect();
        self.held = all.into_values().collect();
        self.ordered = 0;
        self.untried.clear();
        ids
    }

    /// An order for these attempts, to be given now.
    fn order(
        &mut self,
        id: String,
        job: &Arc<Job>,
        attempts: Vec<Arc<Attempted>>,
        wish: Arc<Wish>,
    ) -> WriteOutput {
        let order = WriteOutput { id, job: Arc::clone(job), attempts: attempts.into(), wish };
        self.untried.insert(order.id.clone());
        self.orders.insert(order.id.clone(), order.clone());
        order
    }
}

/// One for each attempt of a Job, and for each index of which nobody saw one, and each object.
fn order_id(attempt: &AttemptEnd, target: &Target) -> String {
    match attempt.index {
        Some(index) if attempt.is_unseen() => format!("unseen {index} to {target}"),
        _ => format!("{} to {target}", attempt.id),
    }
}

impl Supervisor {
    /// Output of this Job is to come, or may have come without anyone's knowing what became of it.
    pub(super) fn expect_output(&mut self, job: &Job) {
        if self.declared.spec.output.is_some()
            && let Some(runs) = &mut self.runs
            && !runs.has_settled(job)
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
        let (wishes, Some(runs)) = (self.wishes(job), &mut self.runs) else { return };
        if runs.has_settled(job) || wishes.as_ref().is_ok_and(Vec::is_empty) {
            return;
        }
        // What nobody wants takes no room.
        let is_for = |wishes: &Vec<Arc<Wish>>| wishes.iter().any(|wish| wish.is_for(attempt.succeeded));
        let followed = if wishes.as_ref().is_ok_and(|it| !is_for(it)) { Logs::default() } else { followed };
        let unsettled = runs.unsettled.entry(job.name.clone()).or_default();
        unsettled.job = Some(Arc::clone(job));
        unsettled.held.push(Arc::new(Attempted { end: attempt, followed }));
        if let Ok(wishes) = wishes {
            let orders = unsettled.orders_for_held(&wishes);
            orders.into_iter().for_each(|order| self.write_output(order, ctx));
        }
    }

    /// What is to become of the output of a Job.
    fn wishes(&self, job: &Job) -> Result<Vec<Arc<Wish>>, Trouble> {
        let wishes = self.declared.wishes(job.streams, self.around.cluster.served())?;
        Ok(wishes.into_iter().map(Arc::new).collect())
    }

    /// A run is over; says whether its output has still to be tried.
    pub(super) fn output_is_due(&mut self, job: &Arc<Job>, ctx: &mut Context<Self>) -> bool {
        let wishes = self.wishes(job);
        let Some(runs) = &mut self.runs else { return false };
        let Some(unsettled) = runs.unsettled.get_mut(&job.name) else { return false };
        unsettled.is_over = true;
        let orders = match wishes {
            Ok(wishes) => unsettled.orders_for_held(&wishes),
            // An edit mends it.
            Err(_) if self.problem.is_some() => vec![],
            Err(trouble) => {
                self.settle_inseparable(&job.name, trouble, ctx);
                return false;
            }
        };
        if unsettled.is_settled() {
            runs.unsettled.remove(&job.name);
            if let Some(state) = runs.states.get_mut(&job.name) {
                // No attempt was made, or none is left to be told of.
                state.output.get_or_insert_default();
                state.output_settled = true;
            }
            return false;
        }
        let is_due = !unsettled.untried.is_empty();
        orders.into_iter().for_each(|order| self.write_output(order, ctx));
        is_due
    }

    /// Of this Job, which is over, the streams are not told apart, and by an edit since it was made they are to go apart:
    /// that nothing of them can be written is the last word.
    fn settle_inseparable(&mut self, job: &str, trouble: Trouble, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        runs.unsettled.remove(job);
        runs.is_free(job);
        let message = format!("{}; Job {job} was made before that was asked for", trouble.message);
        let settled = Settled { trouble: Some(Trouble { message, ..trouble }), ..Settled::default() };
        if let Some(state) = runs.states.get_mut(job) {
            state.output_is_due = false;
            state.output_settled = true;
            state.output.get_or_insert_default().take_in("all", settled.clone());
        }
        self.tell_of_output(job, settled, ctx);
    }

    /// Something became of an order.
    pub(super) fn output_settled(&mut self, told: OutputSettled, ctx: &mut Context<Self>) {
        let OutputSettled { job, id, settled, done } = told;
        self.clean_up_later(ctx);
        let Some(runs) = &mut self.runs else { return };
        let Some(unsettled) = runs.unsettled.get_mut(&job) else { return };
        unsettled.untried.remove(&id);
        if done {
            unsettled.orders.remove(&id);
        }
        let goes_on = !unsettled.is_over;
        let was_tried = unsettled.is_over && unsettled.untried.is_empty();
        let has_settled = unsettled.is_settled();
        if has_settled {
            runs.unsettled.remove(&job);
        }
        if was_tried {
            // Tried once, it no longer keeps others from starting.
            runs.is_free(&job);
        }
        let Some(state) = runs.states.get_mut(&job) else { return };
        state.output_is_due &= !was_tried;
        state.output_settled |= has_settled;
        let before = state.output.clone();
        let outcome = state.output.get_or_insert_default();
        outcome.take_in(&id, settled.clone());
        let is_as_well = before.as_ref().and_then(Outcome::trouble) == outcome.trouble();
        if before.as_ref() != Some(outcome) {
            self.tell_of_output(&job, settled, ctx);
        }
        if goes_on && is_as_well {
            // Nothing waits for it, and mostly the end of the run comes soon, and is told together with it.
            return self.report_later(ctx);
        }
        self.advance(ctx);
    }

    /// In Events: what is not as the user may think.
    fn tell_of_output(&mut self, job: &str, settled: Settled, ctx: &mut Context<Self>) {
        let cuts: Vec<String> = settled.cuts().collect();
        if !cuts.is_empty() {
            let note = format!("Output of Job {job}: {}", cuts.join("; "));
            self.warn(reasons::OUTPUT_CUT, Some(job), note, ctx);
        }
        if let Some(Trouble { reason, message }) = settled.trouble {
            self.warn(reason, Some(job), format!("Output of Job {job}: {message}"), ctx);
        }
        for Replaced { extended_job, job: other, what } in settled.replaced {
            let me = format!("{}/{}", self.declared.namespace, self.declared.name);
            let note =
                format!("Output of Job {job} has replaced {what}, written by ExtendedJob {extended_job}");
            self.warn(reasons::OUTPUT_REPLACED, Some(job), note, ctx);
            let message =
                format!("Output of Job {other}: {what} was replaced by Job {job} of ExtendedJob {me}");
            let trouble = Trouble { reason: reasons::OUTPUT_REPLACED, message };
            self.around.others.do_send(Befell { extended_job, trouble, job: other });
        }
    }

    fn write_output(&mut self, order: WriteOutput, ctx: &mut Context<Self>) {
        let target = order.wish.target.clone();
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
        let (id, patience) = (ChildId::OutputWriter(target.clone()), self.around.limits.output_patience);
        let span = error_span!(parent: &self.span, "output", %target);
        self.writers.start(target.clone(), |generation| {
            let lifeline = Lifeline::new(id, generation, me.clone().recipient());
            OutputWriter::new(cluster, target, extended_job, patience, me.recipient(), span, lifeline).start()
        })
    }

    /// Sends all outputs on their way that have not settled.
    pub(super) fn write_unsettled(&mut self, ctx: &mut Context<Self>) {
        let Some(runs) = &mut self.runs else { return };
        let Runs { unsettled, busy, states, .. } = runs;
        let (mut orders, mut inseparable) = (vec![], vec![]);
        let is_wished = self.declared.spec.output.is_some();
        unsettled.retain(|name, unsettled| {
            if is_wished {
                let streams = unsettled.job.as_ref().map(|job| job.streams).unwrap_or_default();
                let before = unsettled.take_back();
                match self.declared.wishes(streams, self.around.cluster.served()) {
                    Ok(wishes) => {
                        let wishes: Vec<Arc<Wish>> = wishes.into_iter().map(Arc::new).collect();
                        let new = unsettled.orders_for_held(&wishes);
                        let outcome = states.get_mut(name).and_then(|run| run.output.as_mut());
                        let is_new = |id: &String| new.iter().any(|order| order.id == *id);
                        if let Some(outcome) = outcome {
                            before.iter().filter(|id| !is_new(id)).for_each(|id| outcome.let_go(id));
                        }
                        orders.extend(new);
                    }
                    Err(trouble) if unsettled.is_over && self.problem.is_none() => {
                        inseparable.push((name.clone(), trouble));
                    }
                    // What can't be written as it is asked for now, can be when that is mended.
                    Err(_) => {}
                }
                return true;
            }
            // No output is wished any more: nothing of it is still to be written.
            if unsettled.is_over {
                if !states.get(name).is_some_and(RunState::is_replaced) {
                    busy.remove(name);
                }
                if let Some(run) = states.get_mut(name) {
                    run.output_is_due = false;
                    run.output_settled = true;
                }
                return false;
            }
            *unsettled = Unsettled::default();
            true
        });
        for order in orders {
            self.write_output(order, ctx);
        }
        for (job, trouble) in inseparable {
            self.settle_inseparable(&job, trouble, ctx);
        }
    }

    /// What ended when none was wanted has none to be waited for.
    pub(super) fn output_is_wanted_from_now_on(&mut self) {
        let Some(Runs { states, unsettled, .. }) = &mut self.runs else { return };
        let past = states
            .iter_mut()
            .filter(|(job, run)| run.stage != Stage::Active && !unsettled.contains_key(*job));
        for (_, run) in past {
            run.output.get_or_insert_default();
            run.output_settled = true;
        }
    }

    /// The output of the ExtendedJob goes elsewhere now, or is written by other rules: so does what
    /// has not been written yet.
    pub(super) fn redirect_output(&mut self, ctx: &mut Context<Self>) {
        self.writers.let_all_go();
        self.write_unsettled(ctx);
    }
}
