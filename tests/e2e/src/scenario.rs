//! A test: a namespace of its own, and the state of things when it fails.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{PoisonError, RwLock};

use anyhow::Result;

use crate::{Namespace, dump};

/// Held for reading by each test, and for writing by one that no other can stand beside.
static CLUSTER: RwLock<()> = RwLock::new(());

/// Runs a test in a namespace of its own, which is given up at its end, whatever that is.
pub fn scenario<F: FnOnce(&Namespace) -> Result<()>>(test: F) -> Result<()> {
    let _shared = CLUSTER.read().unwrap_or_else(PoisonError::into_inner);
    run(test)
}

/// The same while no other test runs: what it does to the operator is felt in all namespaces.
pub fn scenario_alone<F: FnOnce(&Namespace) -> Result<()>>(test: F) -> Result<()> {
    let _alone = CLUSTER.write().unwrap_or_else(PoisonError::into_inner);
    run(test)
}

fn run<F: FnOnce(&Namespace) -> Result<()>>(test: F) -> Result<()> {
    let namespace = Namespace::of_test(test_name::<F>())?;
    let outcome = catch_unwind(AssertUnwindSafe(|| test(&namespace)));
    if !matches!(outcome, Ok(Ok(()))) {
        dump::print(&namespace);
    }
    namespace.abandon()?;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The name of the function that holds the closure. The thread bears it too, but not with --test-threads=1.
fn test_name<F>() -> &'static str {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.rsplit("::").next().unwrap_or(path)
}
