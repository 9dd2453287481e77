//! What the operator counts, for Prometheus: all names and labels stand in this folder, and nothing else registers any.
//!
//! A [`Metrics`] reaches whoever counts by way of the `Cluster`. What is counted on the way of a pod is fetched once, so
//! that to count is one atomic addition. Labels have few values: never names of ExtendedJobs, pods or other objects, nor of
//! namespaces, but for those that this process was told to look at. What belongs to an actor is a [`Share`] of a gauge, and
//! goes with that actor, also when it falls or another operator leads.

mod counters;
mod labels;
mod operators;
mod process;
mod shares;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use extendedjob_api::{Mode, OutputResult, RunResult, Stream, When};
use extendedjob_decide::{scope::Scope, view::Settled};
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub(crate) use self::{
    counters::Requests,
    labels::{Brake, Cause, Kind},
    shares::{Largest, Share, SizeOf},
};
use self::{
    counters::{Counters, Gauges, counters, gauges},
    labels::{FAILURES, Fate, MODES, RESULTS, STREAMS, WHENS},
    operators::Operators,
    process::Process,
};

/// What all names begin with, but for those of the process, which are the same everywhere.
const PREFIX: &str = "extendedjob";

/// What is counted; cheap to clone, and the same for all clones.
#[derive(Clone)]
pub struct Metrics(Arc<All>);

struct All {
    registry: Mutex<Registry>,
    transitions: Counters<When>,
    latency: Histogram,
    runs_started: Counters<Mode>,
    runs_ended: Counters<(Mode, RunResult)>,
    runs_pending: Gauge,
    runs_active: Gauge,
    outputs: Counters<Fate>,
    output_bytes: Counters<Stream>,
    outputs_cut: Counters<Stream>,
    output_failures: Counters<&'static str>,
    outputs_pending: Gauge,
    config_restarts: Counter,
    brake_openings: Counters<Brake>,
    brakes_open: Gauges<Brake>,
    actor_restarts: Counters<(Kind, Cause)>,
    requests: Requests,
    operators: Operators,
    ledger_bytes: Largest,
    book_pages: Gauge,
    book_bytes: Gauge,
    pods: Gauge,
    extended_jobs: Gauge,
    dropped_fields: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut whole = Registry::default();
        whole.register_collector(Box::new(Process));
        let to = whole.sub_registry_with_prefix(PREFIX);
        let transitions = counters(
            to,
            "transitions",
            "Transitions of pods that were observed and count for an ExtendedJob",
            ["when"],
            WHENS,
        );
        // From a millisecond to about a minute, each twice the one before.
        let latency = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        to.register(
            "trigger_latency_seconds",
            "From when a transition was observed to when its Job was created",
            latency.clone(),
        );
        let runs_started = counters(to, "runs_started", "Runs of which the Job was created", ["mode"], MODES);
        let ends = MODES.iter().flat_map(|mode| RESULTS.iter().map(move |result| (*mode, *result)));
        let ends: Vec<_> = ends.collect();
        let runs_ended = counters(to, "runs_ended", "Runs that were seen to end", ["mode", "result"], &ends);
        let runs_pending = gauge(to, "runs_pending", "Runs that wait for their Job");
        let runs_active =
            gauge(to, "runs_active", "Runs whose Job is under way, or whose output has not been tried yet");
        let outputs =
            counters(to, "outputs", "Outputs of containers, by what became of them", ["result"], Fate::ALL);
        let output_bytes =
            counters(to, "output_bytes", "Bytes of output that are in their targets", ["stream"], STREAMS);
        let outputs_cut = counters(
            to,
            "outputs_cut",
            "Outputs of which only the newest part was kept",
            ["stream"],
            STREAMS,
        );
        let output_failures = counters(
            to,
            "output_failures",
            "Tries to write output that failed, and are repeated",
            ["reason"],
            FAILURES,
        );
        let outputs_pending =
            gauge(to, "outputs_pending", "Orders to write output that wait, or are tried again");
        let config_restarts = Counter::default();
        to.register(
            "config_restarts",
            "Changes of ConfigMaps and Secrets for which runs started again",
            config_restarts.clone(),
        );
        let brake_openings = counters(
            to,
            "brake_openings",
            "How often a brake began to hold runs back",
            ["brake"],
            Brake::ALL,
        );
        let brakes_open = gauges(
            to,
            "brakes_open",
            "ExtendedJobs of which a brake holds runs back now",
            "brake",
            Brake::ALL,
        );
        let falls = Kind::ALL.iter().flat_map(|kind| Cause::ALL.iter().map(move |cause| (*kind, *cause)));
        let falls: Vec<_> = falls.collect();
        let actor_restarts = counters(
            to,
            "actor_restarts",
            "Actors that ended without having been let go, and are started anew",
            ["actor", "cause"],
            &falls,
        );
        let requests = Requests::register(to);
        let operators = Operators::register(to);
        let ledger_bytes =
            Largest::new(gauge(to, "ledger_largest_bytes", "The size of the largest ledger, packed"));
        let book_pages = gauge(to, "pod_book_pages", "Pages of the book of pods");
        let book_bytes = gauge(to, "pod_book_bytes", "The size of all its pages, packed");
        let pods = gauge(to, "pods", "Pods that are known, of all namespaces that are watched");
        let extended_jobs = gauge(to, "extendedjobs", "ExtendedJobs that are known");
        let dropped_fields = gauge(
            to,
            "dropped_fields",
            "Fields of ExtendedJobs that this version knows, and the API server drops",
        );
        Self(Arc::new(All {
            registry: Mutex::new(whole),
            transitions,
            latency,
            runs_started,
            runs_ended,
            runs_pending,
            runs_active,
            outputs,
            output_bytes,
            outputs_cut,
            output_failures,
            outputs_pending,
            config_restarts,
            brake_openings,
            brakes_open,
            actor_restarts,
            requests,
            operators,
            ledger_bytes,
            book_pages,
            book_bytes,
            pods,
            extended_jobs,
            dropped_fields,
        }))
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

impl Metrics {
    /// Everything in the text format of OpenMetrics.
    ///
    /// # Errors
    /// Never in practice: a text has room.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    /// An operator leads in this term, or in none.
    pub(crate) fn leading(&self, scope: &Scope, term: Option<i64>) {
        self.0.operators.leading(scope, term);
    }

    /// Whether a watch of an operator is refused.
    pub(crate) fn refused(&self, scope: &Scope) -> Share {
        self.0.operators.refused(scope)
    }

    /// Whether any watch of an operator is refused.
    pub(crate) fn are_refused(&self, scope: &Scope) -> bool {
        self.0.operators.are_refused(scope)
    }

    /// A transition of this kind counts.
    pub(crate) fn transition(&self, when: When) {
        self.0.transitions.count(when);
    }

    /// A transition has its Job, so long after it was observed.
    pub(crate) fn triggered(&self, after: Duration) {
        self.0.latency.observe(after.as_secs_f64());
    }

    /// A run has its Job.
    pub(crate) fn run_started(&self, mode: Mode) {
        self.0.runs_started.count(mode);
    }

    /// A run is over.
    pub(crate) fn run_ended(&self, mode: Mode, result: RunResult) {
        self.0.runs_ended.count((mode, result));
    }

    /// Runs that wait for their Job, of one ExtendedJob.
    pub(crate) fn pending(&self) -> Share {
        Share::of(&self.0.runs_pending)
    }

    /// Runs under way, of one ExtendedJob.
    pub(crate) fn active(&self) -> Share {
        Share::of(&self.0.runs_active)
    }

    /// An order to write output has come to this; `done`: that is the last word.
    pub(crate) fn output(&self, settled: &Settled, done: bool) {
        let reason = settled.trouble.as_ref().map(|trouble| trouble.reason);
        if !done {
            return reason.into_iter().for_each(|reason| self.0.output_failures.count_known(reason));
        }
        for output in &settled.outputs {
            self.0.outputs.count(Fate::of(output.result, reason));
            if output.result == OutputResult::Written {
                let kept = u64::try_from(output.bytes_kept).unwrap_or_default();
                self.0.output_bytes.add(output.stream, kept);
                if output.bytes_kept < output.bytes_seen {
                    self.0.outputs_cut.count(output.stream);
                }
            }
        }
    }

    /// Orders that one writer has.
    pub(crate) fn outputs_pending(&self) -> Share {
        Share::of(&self.0.outputs_pending)
    }

    /// Runs start again, because what their pods use has changed.
    pub(crate) fn config_restart(&self) {
        self.0.config_restarts.inc();
    }

    /// A brake begins to hold runs back.
    pub(crate) fn brake_opens(&self, brake: Brake) {
        self.0.brake_openings.count(brake);
    }

    /// Whether a brake of one ExtendedJob holds runs back.
    pub(crate) fn brake_open(&self, brake: Brake) -> Share {
        Share::of(&self.0.brakes_open.of(brake))
    }

    /// An actor ended without having been let go, and is started anew.
    pub(crate) fn actor_restarts(&self, kind: Kind, panicked: bool) {
        self.0.actor_restarts.count((kind, Cause::of(panicked)));
    }

    /// Requests to the API server.
    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// The ledger of one ExtendedJob.
    pub(crate) fn ledger(&self) -> SizeOf {
        self.0.ledger_bytes.one()
    }

    /// The pages of the book.
    pub(crate) fn book_pages(&self) -> Share {
        Share::of(&self.0.book_pages)
    }

    /// Their size.
    pub(crate) fn book_bytes(&self) -> Share {
        Share::of(&self.0.book_bytes)
    }

    /// The pods that are known.
    pub(crate) fn pods(&self) -> Share {
        Share::of(&self.0.pods)
    }

    /// The ExtendedJobs that are known.
    pub(crate) fn extended_jobs(&self) -> Share {
        Share::of(&self.0.extended_jobs)
    }

    /// So many fields are known to this version, and not to the API server.
    pub(crate) fn dropped_fields(&self, count: usize) {
        self.0.dropped_fields.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
