//! Watches the pods of one ExtendedJob, and says which transitions count.
//!
//! Duty: each transition that counts is fired at least once under its key. A watcher that takes
//! over from one that fell fires again what came after the first one's start; the supervisor knows
//! the runs that it already has.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Recipient};
use extendedjob_decide::{
    declared::Declared,
    pod::{Pod, Position},
    run::Run,
    transition::{Transition, Trigger},
};
use jiff::Timestamp;

use crate::{
    hubs::PodHub,
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, Fire, PodMoved, PodSubscriber, PodsAtFirst, Sighted, SubscribePods},
};

/// The watcher of one trigger; an edit of the trigger starts another one.
pub(crate) struct TriggerWatcher {
    pub(crate) declared: Arc<Declared>,
    pub(crate) trigger: Trigger,
    pub(crate) sight: Sight,
    pub(crate) pods: Addr<PodHub>,
    pub(crate) fire: Recipient<Fire>,
    pub(crate) sighted: Recipient<Sighted>,
    pub(crate) _lifeline: Lifeline<ChildId>,
}

/// What counts of the pods that are there at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// What the stamps say, against the creation of the ExtendedJob.
    Stamps(Timestamp),
    /// Nothing: an edit of the trigger takes the pods as they are.
    Baseline,
    /// What was seen after this: another watcher looked at the rest.
    After(Position),
}

impl TriggerWatcher {
    fn fire(&self, pod: &Arc<Pod>, transitions: impl IntoIterator<Item = Transition>) {
        for transition in transitions {
            let run = Run::for_transition(&self.declared, Arc::clone(pod), transition);
            self.fire.do_send(Fire(run));
        }
    }
}

stops_when_told!(TriggerWatcher);

impl Actor for TriggerWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let subscriber =
            PodSubscriber { at_first: ctx.address().recipient(), moved: ctx.address().recipient() };
        self.pods.do_send(SubscribePods {
            namespace: self.declared.namespace.clone(),
            selector: self.trigger.selector.clone(),
            subscriber,
        });
    }
}

impl Handler<PodsAtFirst> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodsAtFirst { pods, position }: PodsAtFirst, _: &mut Self::Context) {
        for pod in &pods {
            let transitions = match self.sight {
                Sight::Stamps(since) => self.trigger.at_first_sight(pod, since),
                Sight::Baseline => vec![],
                Sight::After(position) => self.trigger.after(position, pod),
            };
            self.fire(pod, transitions);
        }
        // What a watcher before this one has missed lies behind its own start, not behind ours.
        if !matches!(self.sight, Sight::After(_)) {
            self.sighted.do_send(Sighted(position));
        }
    }
}

impl Handler<PodMoved> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodMoved { before, after }: PodMoved, _: &mut Self::Context) {
        self.fire(&after, self.trigger.between(before.as_deref(), &after));
    }
}
