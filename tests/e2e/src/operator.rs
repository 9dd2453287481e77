//! The operator's own Deployment: its log, and ways to take it away for a while.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::names::OPERATOR_NAMESPACE;
use crate::{Kubectl, target, text};

/// Written by a test that disturbs the operator, read by tests that need it undisturbed. All others go on beside them.
// A test that failed while it held the operator has left it running: that the lock is poisoned means nothing.
static TURN: RwLock<()> = RwLock::new(());

/// The installed operator, held by one test at a time.
#[derive(Debug)]
pub struct Operator {
    kubectl: Kubectl,
    _held: RwLockWriteGuard<'static, ()>,
}

/// While this lives no test disturbs the operator.
#[derive(Debug)]
pub struct Undisturbed {
    _held: RwLockReadGuard<'static, ()>,
}

/// While this lives no operator runs.
#[derive(Debug)]
pub struct Stopped<'a> {
    operator: &'a Operator,
    replicas: u64,
}

impl Operator {
    /// Waits for its turn.
    pub fn hold() -> Self {
        let held = TURN.write().unwrap_or_else(PoisonError::into_inner);
        Self { kubectl: Kubectl::in_namespace(OPERATOR_NAMESPACE), _held: held }
    }

    /// Waits until no test disturbs it, and keeps it so. Several may want that at once.
    pub fn undisturbed() -> Undisturbed {
        Undisturbed { _held: TURN.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Replaces its pods, as an upgrade does.
    pub fn restart(&self) -> Result<()> {
        self.kubectl.run(&["rollout", "restart", "deployment"])?;
        self.kubectl.run(&["rollout", "status", "deployment", "--timeout=90s"]).map(drop)
    }

    /// kill -9 of all its pods where the node is within reach; elsewhere they are deleted without grace. Does
    /// not wait for their return.
    pub fn kill(&self) -> Result<()> {
        let pods = self.kubectl.list(&["pods"])?;
        self.kill_pods(&pods.iter().collect::<Vec<_>>())
    }

    /// The same of one pod.
    pub fn kill_pod(&self, name: &str) -> Result<()> {
        let pod = self.kubectl.get(&["pod", name])?;
        self.kill_pods(&[&pod])
    }

    fn kill_pods(&self, pods: &[&Value]) -> Result<()> {
        let Some(cluster) = target::local_cluster()? else {
            let names: Vec<&str> = pods.iter().map(|pod| crate::name(pod)).collect();
            let without_grace = [&["delete", "pods", "--force", "--grace-period=0"], &names[..]].concat();
            return self.kubectl.run(&without_grace).map(drop);
        };
        let containers = containers(pods);
        ensure!(!containers.is_empty(), "no container of the operator is running");
        containers.iter().try_for_each(|container| cluster.signal_container(container, "KILL"))
    }

    /// Scales it to nothing, until the guard is dropped.
    pub fn stop(&self) -> Result<Stopped<'_>> {
        let deployments = self.kubectl.list(&["deployments"])?;
        let deployment = deployments.first().context("the operator is not installed")?;
        let stopped =
            Stopped { operator: self, replicas: deployment["spec"]["replicas"].as_u64().unwrap_or(1) };
        stopped.scale(0)?;
        let none_left = |pods: &Value| pods["items"].as_array().filter(|pods| pods.is_empty()).map(drop);
        self.kubectl.until(&["pods"], "no pod of the operator", none_left)?;
        Ok(stopped)
    }

    /// The name of the pod that leads, as soon as one does.
    pub fn leader(&self) -> Result<String> {
        self.kubectl.until(&["lease", OPERATOR_NAMESPACE], "a leader", |lease| {
            let identity = text(&lease["spec"]["holderIdentity"]);
            // The name of the pod, and what tells one of its processes from the next.
            identity.split_once('_').map(|(pod, _)| pod.to_owned())
        })
    }

    /// The number of the present term: it rises with each change of leader.
    pub fn term(&self) -> Result<i64> {
        // What the API server goes by.
        let fence = self.kubectl.get(&["serviceaccount", "extendedjob-operator-term"])?;
        let term = text(&fence["metadata"]["annotations"][crate::names::TERM]);
        term.parse().with_context(|| format!("{term:?} is no term"))
    }

    /// All that its present pods have logged.
    pub fn log(&self) -> Result<String> {
        log("--tail=-1")
    }

    pub(crate) fn log_tail() -> Result<String> {
        log("--tail=60")
    }

    pub(crate) fn pods_in_words() -> Result<String> {
        Kubectl::in_namespace(OPERATOR_NAMESPACE).run(&["get", "pods", "--output=wide"])
    }
}

impl Stopped<'_> {
    fn scale(&self, replicas: u64) -> Result<()> {
        let replicas = format!("--replicas={replicas}");
        self.operator.kubectl.run(&["scale", "deployment", "--all", &replicas]).map(drop)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.scale(self.replicas) {
            eprintln!("the operator stays stopped: {error:#}");
        }
    }
}

fn log(tail: &str) -> Result<String> {
    let kubectl = Kubectl::in_namespace(OPERATOR_NAMESPACE);
    let pods = kubectl.list(&["pods"])?;
    let logs = pods.iter().map(|pod| kubectl.run(&["logs", crate::name(pod), "--all-containers", tail]));
    logs.collect::<Result<Vec<_>>>().map(|logs| logs.join("\n"))
}

/// The IDs of the containers that run.
fn containers(pods: &[&Value]) -> Vec<String> {
    let statuses =
        pods.iter().flat_map(|pod| pod["status"]["containerStatuses"].as_array().into_iter().flatten());
    let running = statuses.filter(|status| status["state"]["running"].is_object());
    running.map(|status| text(&status["containerID"]).to_owned()).collect()
}
