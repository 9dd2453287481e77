//! Whether many Jobs are being made right now. What tells of runs, statuses and Events, can wait then: to an API server the
//! patch of a status is three times the work of a Job's create.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// So many creates within so short a time are a rush. A few that hang, such as in a webhook, are none.
const MANY: usize = 8;
const WITHIN: Duration = Duration::from_millis(200);

/// So long one waits for its end.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often one looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// When the newest creates began.
#[derive(Clone, Debug, Default)]
pub(super) struct Rush(Arc<Mutex<VecDeque<Instant>>>);

impl Rush {
    /// A Job is about to be created.
    pub(super) fn note(&self) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() == MANY {
            newest.pop_front();
        }
        newest.push_back(Instant::now());
    }

    fn is_on(&self) -> bool {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.len() == MANY && newest.front().is_some_and(|oldest| oldest.elapsed() < WITHIN)
    }

    /// Waits until it is over, but not for long.
    pub(super) async fn over(&self) {
        let until = Instant::now() + PATIENCE;
        while self.is_on() && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::System;
    use tokio::time::{advance, pause, timeout};

    use super::*;

    async fn waited(rush: &Rush) -> Duration {
        let since = Instant::now();
        timeout(10 * PATIENCE, rush.over()).await.unwrap();
        since.elapsed()
    }

    #[test]
    fn who_has_something_to_tell_waits_for_a_rush_of_jobs() {
        System::new().block_on(async {
            pause();
            let rush = Rush::default();
            assert_eq!(waited(&rush).await, Duration::ZERO, "there are no Jobs");
            (0..MANY).for_each(|_| rush.note());
            let until_over = waited(&rush).await;
            assert!((WITHIN..2 * WITHIN).contains(&until_over), "{until_over:?}");
        });
    }

    #[test]
    fn a_few_jobs_now_and_then_are_no_rush() {
        System::new().block_on(async {
            pause();
            let rush = Rush::default();
            for _ in 0..3 * MANY {
                rush.note();
                advance(WITHIN / 4).await;
                assert_eq!(waited(&rush).await, Duration::ZERO);
            }
        });
    }

    #[test]
    fn a_rush_without_end_is_not_waited_for() {
        System::new().block_on(async {
            pause();
            let rush = Rush::default();
            let goes_on = async {
                loop {
                    rush.note();
                    sleep(WITHIN / 16).await;
                }
            };
            (0..MANY).for_each(|_| rush.note());
            tokio::select! {
                biased;
                () = goes_on => {}
                passed = waited(&rush) => assert!((PATIENCE..2 * PATIENCE).contains(&passed), "{passed:?}"),
            }
        });
    }
}
