//! Counters and gauges of one name, one for each value of its labels: fetched once, and there from the start, so that a
//! first increase is seen as one.

use std::borrow::Cow;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{Label, OTHER};

/// Label sets as the client wants them.
type Labels = Vec<(&'static str, &'static str)>;

/// A metric for each value.
pub(super) struct Each<L, M> {
    by_value: Vec<(L, M)>,
}

/// A counter for each value.
pub(super) type Counters<L> = Each<L, Counter>;

/// A gauge for each value.
pub(super) type Gauges<L> = Each<L, Gauge>;

/// Registers counters with these labels, one for each of `values`.
pub(super) fn counters<L: Label<N>, const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    labels: [&'static str; N],
    values: &[L],
) -> Counters<L> {
    let family = Family::<Labels, Counter>::default();
    registry.register(name, help, family.clone());
    each(&family, labels, values)
}

/// The same of gauges.
pub(super) fn gauges<L: Label<1>>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[L],
) -> Gauges<L> {
    let family = Family::<Labels, Gauge>::default();
    registry.register(name, help, family.clone());
    each(&family, [label], values)
}

fn each<L: Label<N>, M: Clone + Default, const N: usize>(
    family: &Family<Labels, M>,
    labels: [&'static str; N],
    values: &[L],
) -> Each<L, M> {
    let of = |value: &L| {
        let set: Labels = labels.into_iter().zip(value.words()).collect();
        (*value, family.get_or_create_owned(&set))
    };
    Each { by_value: values.iter().map(of).collect() }
}

impl<L: Copy + PartialEq, M> Each<L, M> {
    fn get(&self, value: L) -> Option<&M> {
        self.by_value.iter().find(|(known, _)| *known == value).map(|(_, metric)| metric)
    }
}

impl<L: Copy + PartialEq> Counters<L> {
    /// One more with this value. (A value that none was fetched for is not counted: there is none, as a test says.)
    pub(super) fn count(&self, value: L) {
        self.add(value, 1);
    }

    /// So many more.
    pub(super) fn add(&self, value: L, more: u64) {
        if let Some(counter) = self.get(value) {
            counter.inc_by(more);
        }
    }
}

impl<L: Copy + PartialEq> Gauges<L> {
    /// The gauge of this value.
    pub(super) fn of(&self, value: L) -> Gauge {
        self.get(value).cloned().unwrap_or_default()
    }
}

impl Counters<&'static str> {
    /// One more for this reason, or for one that has no name here.
    pub(super) fn count_known(&self, reason: &'static str) {
        self.count(if self.get(reason).is_some() { reason } else { OTHER });
    }
}

/// Requests to the API server by verb and code. Which codes there are is the API server's choice; beside a request, to look
/// for its counter costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Requests(Family<[(&'static str, Cow<'static, str>); 2], Counter>);

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Self::default();
        registry.register(
            "api_requests",
            "Requests to the API server, by what it answered",
            requests.0.clone(),
        );
        requests
    }

    /// One was answered with this code, or, with none, not at all.
    pub(crate) fn count(&self, verb: &'static str, code: Option<u16>) {
        let code = code.map_or(Cow::Borrowed("error"), |code| Cow::Owned(code.to_string()));
        self.0.get_or_create(&[("verb", Cow::Borrowed(verb)), ("code", code)]).inc();
    }
}
