//! Waiting on conditions, with a deadline and an account of what was seen instead.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Kubectl;

/// Long enough for a restart of the operator, which other tests may cause at any time.
const PATIENCE: Duration = Duration::from_secs(90);
/// kubectl is a process each time: on two cores a shorter interval would slow down what it waits for.
const INTERVAL: Duration = Duration::from_millis(300);

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
    loop {
        match look().with_context(|| format!("while waiting for {wanted}"))? {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() > deadline => {
                bail!("waited {PATIENCE:?} for {wanted}; last seen: {seen}")
            }
            Err(_) => thread::sleep(INTERVAL),
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
