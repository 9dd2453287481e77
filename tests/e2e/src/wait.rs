//! Waiting on conditions, with a deadline and an account of what was seen instead.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Kubectl;

/// Long enough for fifty pods to come and go on two cores that others use too, and for a restart of the operator
/// meanwhile. Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(300);
/// kubectl is a process each time, a tenth of a second of a processor: what takes longer is looked at less often, for
/// the looking slows it down.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);
const LONGEST_INTERVAL: Duration = Duration::from_millis(1500);

impl Kubectl {
    /// Waits until `kubectl get` shows something in which the wanted is found.
    pub fn until<T>(&self, get: &[&str], wanted: &str, find: impl Fn(&Value) -> Option<T>) -> Result<T> {
        poll(&format!("{wanted} in {}", get.join(" ")), || {
            let seen = self.get(get)?;
            Ok(find(&seen).ok_or_else(|| brief(&seen)))
        })
    }
}

/// Looks again and again until the wanted is found; an `Err` in the look's answer is what it saw instead.
pub fn poll<T>(wanted: &str, mut look: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    let mut interval = SHORTEST_INTERVAL;
    loop {
        match look().with_context(|| format!("while waiting for {wanted}"))? {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() > deadline => {
                bail!("waited {PATIENCE:?} for {wanted}; last seen: {seen}")
            }
            Err(_) => {
                thread::sleep(interval);
                interval = LONGEST_INTERVAL.min(interval * 3 / 2);
            }
        }
    }
}

/// What fits in a message: status tells more than spec.
fn brief(seen: &Value) -> String {
    let telling = match seen {
        Value::Object(object) if object.contains_key("status") => seen["status"].to_string(),
        _ => seen.to_string(),
    };
    telling.chars().take(2000).collect()
}
