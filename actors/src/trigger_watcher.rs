//! Watches the pods of one ExtendedJob, and says which transitions count.
//!
//! Duty: each move that the hub delivers is judged once, by the trigger and the baseline of the time
//! at which it came, and passed on to the Supervisor, which settles it. A watcher that takes over
//! from one that fell is told again what is not settled; the Supervisor knows the runs it has.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Recipient};
use extendedjob_decide::{
    declared::Declared,
    pod::Pod,
    run::Run,
    transition::{Baseline, Trigger, What},
};

use crate::{
    hubs::PodHub,
    lifeline::{Lifeline, stops_when_told},
    messages::{
        BookNews, ChildId, Fire, PodMoved, PodSubscriber, PodsAtFirst, PodsWatched, Rebase, Sight, Sighted,
        SubscribePods,
    },
};

/// The watcher of one trigger.
pub(crate) struct TriggerWatcher {
    pub(crate) declared: Arc<Declared>,
    pub(crate) trigger: Trigger,
    /// Not suspended.
    pub(crate) counts: bool,
    pub(crate) sight: Sight,
    /// `None` until the hub has said where it is: nothing counts before that.
    pub(crate) baseline: Option<Baseline>,
    pub(crate) subscriptions: u64,
    pub(crate) pods: Addr<PodHub>,
    pub(crate) supervisor: Superior,
    pub(crate) _lifeline: Lifeline<ChildId>,
}

/// Where the Supervisor wants to be told.
#[derive(Clone)]
pub(crate) struct Superior {
    pub(crate) sighted: Recipient<Sighted>,
    pub(crate) fire: Recipient<Fire>,
    pub(crate) book: Recipient<BookNews>,
    pub(crate) watched: Recipient<PodsWatched>,
}

impl TriggerWatcher {
    fn subscribe(&mut self, ctx: &Context<Self>) {
        self.subscriptions += 1;
        self.pods.do_send(SubscribePods {
            number: self.subscriptions,
            owner: self.declared.uid.clone(),
            namespace: self.declared.namespace.clone(),
            trigger: self.trigger.clone(),
            sight: self.sight,
            subscriber: PodSubscriber {
                at_first: ctx.address().recipient(),
                moved: ctx.address().recipient(),
                book: ctx.address().recipient(),
                watched: ctx.address().recipient(),
            },
        });
    }

    fn at_first_sight(&self, pods: &[Arc<Pod>]) -> Vec<Run> {
        let run =
            |pod: &Arc<Pod>, transition| Run::for_transition(&self.declared, Arc::clone(pod), transition);
        let transitions = pods.iter().flat_map(|pod| {
            let transitions = self.trigger.at_first_sight(pod, self.declared.created);
            transitions.into_iter().map(move |transition| (pod, transition))
        });
        transitions.map(|(pod, transition)| run(pod, transition)).collect()
    }
}

stops_when_told!(TriggerWatcher);

impl Actor for TriggerWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.subscribe(ctx);
    }
}

impl Handler<PodsAtFirst> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodsAtFirst { number, pods, position, lost }: PodsAtFirst, _: &mut Self::Context) {
        if number != self.subscriptions {
            return;
        }
        let sight = self.sight;
        let baseline = match (sight, self.baseline) {
            (Sight::Again, Some(baseline)) => baseline,
            (Sight::First, _) => Baseline { version: position, since: Some(self.declared.created) },
            (Sight::Again | Sight::Edited, _) => Baseline { version: position, since: None },
        };
        self.baseline = Some(baseline);
        self.sight = Sight::Again;
        let runs = if self.counts { self.at_first_sight(&pods) } else { vec![] };
        self.supervisor.sighted.do_send(Sighted { sight, baseline, position, runs, lost });
    }
}

impl Handler<PodMoved> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodMoved { receipt, moved, observed }: PodMoved, _: &mut Self::Context) {
        let baseline = self.baseline.filter(|_| self.counts);
        let transition = baseline.and_then(|baseline| self.trigger.counts(&moved, baseline));
        let run = transition
            .map(|transition| Run::for_transition(&self.declared, Arc::clone(&moved.after), transition));
        let gone = (moved.what == What::Vanished).then(|| moved.after.uid.clone());
        self.supervisor.fire.do_send(Fire { receipt, seen: moved.seen, observed, run, gone });
    }
}

impl Handler<BookNews> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, news: BookNews, _: &mut Self::Context) {
        if news.number == self.subscriptions {
            self.supervisor.book.do_send(news);
        }
    }
}

impl Handler<PodsWatched> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, watched: PodsWatched, _: &mut Self::Context) {
        if watched.number == self.subscriptions {
            self.supervisor.watched.do_send(watched);
        }
    }
}

impl Handler<Rebase> for TriggerWatcher {
    type Result = ();

    /// What comes before the hub's answer was there before it.
    fn handle(&mut self, Rebase { trigger, counts }: Rebase, ctx: &mut Self::Context) {
        self.trigger = trigger;
        self.counts = counts;
        self.sight = Sight::Edited;
        self.baseline = None;
        self.subscribe(ctx);
    }
}
