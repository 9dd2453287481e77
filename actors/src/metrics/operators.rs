//! How each operator of a process is doing: one for all of the cluster, or one for each namespace that the process was told to
//! look at. Those are the only names of namespaces in labels, and are as many as whoever installed it has chosen.

use extendedjob_decide::scope::Scope;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Share;

type Watched = [(&'static str, String); 1];

/// Gauges with the label `watched`.
pub(super) struct Operators {
    leader: Family<Watched, Gauge>,
    term: Family<Watched, Gauge>,
    refused: Family<Watched, Gauge>,
}

impl Operators {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut family = |name: &str, help: &str| {
            let family = Family::default();
            registry.register(name, help, Family::clone(&family));
            family
        };
        Self {
            leader: family("leader", "Whether this operator leads: 1 or 0"),
            term: family("term", "The number of the term in which it leads; 0 for a standby"),
            refused: family(
                "watches_refused",
                "Watches that the API server does not allow: nothing is done there as long as that is so",
            ),
        }
    }

    /// This one leads in this term, or does not.
    pub(super) fn leading(&self, scope: &Scope, term: Option<i64>) {
        let watched = watched(scope);
        self.leader.get_or_create_owned(&watched).set(i64::from(term.is_some()));
        self.term.get_or_create_owned(&watched).set(term.unwrap_or_default());
    }

    /// Whether one watch of it is refused.
    pub(super) fn refused(&self, scope: &Scope) -> Share {
        Share::of(&self.refused.get_or_create_owned(&watched(scope)))
    }

    /// Whether any watch of it is refused.
    pub(super) fn are_refused(&self, scope: &Scope) -> bool {
        self.refused.get_or_create_owned(&watched(scope)).get() > 0
    }
}

fn watched(scope: &Scope) -> Watched {
    [("watched", scope.namespace().unwrap_or("*").to_owned())]
}
