//! A kind of object under watch, as an actor keeps it: what is known, and the watch that tells.

use super::store::{Identified, Store};
use crate::cluster::{Cluster, watch::Source};
use actix::{Actor, AsyncContext, Context, SpawnHandle, StreamHandler};
use extendedjob_decide::track::Observation;

/// What is known of the objects of one kind; what the watch says comes to the actor's
/// `StreamHandler`.
pub(crate) struct Watched<T> {
    cluster: Cluster,
    source: Source<T>,
    watching: Option<SpawnHandle>,
    pub(crate) store: Store<T>,
}

impl<T: Identified + 'static> Watched<T> {
    pub(crate) fn new(cluster: Cluster, source: Source<T>) -> Self {
        Self { cluster, source, watching: None, store: Store::default() }
    }

    /// Watches, unless it does.
    pub(crate) fn watch<A>(&mut self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + StreamHandler<Observation<T>>,
    {
        if self.watching.is_none() {
            self.list(ctx);
        }
    }

    /// Begins with a list, for the first time or anew. What is known stays, but does not count as
    /// complete until that list is.
    pub(crate) fn list<A>(&mut self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + StreamHandler<Observation<T>>,
    {
        if let Some(watching) = self.watching.take() {
            ctx.cancel_future(watching);
        }
        self.store.refresh();
        self.watching = Some(ctx.add_stream(self.cluster.watch(self.source, None)));
    }
}
