//! Turns: so many requests of a kind are under way at a time, but for those that are not answered at once.

use std::{pin::pin, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, time::timeout};

/// An API server that answers no sooner, or a webhook for which it waits, holds up nobody else.
const HOLD_UP: Duration = Duration::from_secs(1);

/// Does that, and holds its turn meanwhile, but for no longer than an answer takes that comes at all.
pub(crate) async fn holding<T>(turn: Option<OwnedSemaphorePermit>, doing: impl Future<Output = T>) -> T {
    let mut doing = pin!(doing);
    let done = timeout(HOLD_UP, &mut doing).await;
    drop(turn);
    match done {
        Ok(done) => done,
        Err(_) => doing.await,
    }
}
