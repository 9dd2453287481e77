//! Requests for runs that no pod triggers: what is asked for, and what is to be done about it.
//!
//! ```text
//! creation, now, annotation ──(status: runNumber + 1)──► accepted ──► its Job ──► over
//!        over, run is now ──(spec: manually, annotation reset)──► over, run is manually
//!        over, run is not now ──(status: completedRunNumber)──► completed
//! ```
//!
//! Each arrow is one write with a precondition, and is done again if it is not known to be done. Job names follow
//! from the number, so that a request has one Job whatever is done twice.

use extendedjob_api::{Mode, Run as Asked};

use crate::declared::Declared;

/// What to do about the requests of an ExtendedJob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Nothing: none is open, or its run is under way.
    Rest,
    /// Accept a request.
    Accept(Request),
    /// The run of this number is over: set `run` back to `manually`.
    Reset(i64),
    /// A triggered ExtendedJob is asked for a run: say that this value of the annotation is ignored.
    Ignore(String),
}

/// A request that is to be accepted, by one write of the status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its number.
    pub number: i64,
    /// The value of the annotation that is answered by it.
    pub handles: Option<String>,
}

/// What to do next. `is_over`: whether the run of the request accepted last has ended, or was ended.
#[must_use]
pub fn next(declared: &Declared, is_over: bool) -> Next {
    let status = &declared.status;
    let number = status.run_number;
    let handles = unanswered(declared).cloned();
    let (is_new, is_now) = match declared.mode() {
        Some(Mode::Once) => (number == 0, false),
        Some(Mode::Errand) => (false, declared.spec.run == Some(Asked::Now)),
        Some(_) => return handles.map_or(Next::Rest, Next::Ignore),
        None => return Next::Rest,
    };
    if number > 0 && !is_over {
        return Next::Rest;
    }
    if is_now && completed(declared, is_over) < number {
        return Next::Reset(number);
    }
    if is_new || is_now || handles.is_some() {
        // The annotation may be that of another object, of which this one is a copy: its number is left out.
        let used = number.max(declared.reset.unwrap_or_default());
        return Next::Accept(Request { number: used + 1, handles });
    }
    Next::Rest
}

/// The value of the annotation, if no run has answered it yet.
fn unanswered(declared: &Declared) -> Option<&String> {
    declared.requested_at.as_ref().filter(|at| Some(*at) != declared.status.last_handled_run_at.as_ref())
}

/// Whether a run is asked for that comes after the one under way.
#[must_use]
pub fn is_queued(declared: &Declared) -> bool {
    let is_triggered = !matches!(declared.mode(), Some(Mode::Once | Mode::Errand));
    !is_triggered && unanswered(declared).is_some()
}

/// Up to which request all runs are over, and the field that asked was set back.
#[must_use]
pub fn completed(declared: &Declared, is_over: bool) -> i64 {
    let status = &declared.status;
    let number = status.run_number;
    if is_over && declared.spec.run != Some(Asked::Now) {
        return number;
    }
    // One that is higher was copied from another object.
    let reset = declared.reset.filter(|reset| *reset <= number).unwrap_or_default();
    reset.max(status.completed_run_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::declared;

    /// An ExtendedJob with this `run`, whose status has accepted and completed so many requests.
    fn asked(run: &str, accepted: i64, completed: i64) -> Declared {
        let spec = serde_json::json!({ "run": run, "template": {} }).to_string();
        let mut declared = Declared { spec: serde_json::from_str(&spec).unwrap(), ..declared() };
        declared.status.run_number = accepted;
        declared.status.completed_run_number = completed;
        declared
    }

    fn accept(number: i64, handles: Option<&str>) -> Next {
        Next::Accept(Request { number, handles: handles.map(Into::into) })
    }

    #[test]
    fn a_one_off_runs_once_and_an_errand_when_asked() {
        for (run, accepted, completed, is_over, expected) in [
            ("once", 0, 0, false, accept(1, None)),
            ("once", 1, 0, false, Next::Rest),
            ("once", 1, 1, true, Next::Rest),
            ("manually", 0, 0, false, Next::Rest),
            ("now", 0, 0, false, accept(1, None)),
            ("now", 1, 0, false, Next::Rest),
            ("now", 1, 0, true, Next::Reset(1)),
            ("manually", 1, 0, true, Next::Rest),
            ("now", 1, 1, true, accept(2, None)),
            ("manually", 1, 0, false, Next::Rest),
        ] {
            let next = next(&asked(run, accepted, completed), is_over);
            assert_eq!(next, expected, "{run} {accepted} {completed} {is_over}");
        }
    }

    #[test]
    fn after_a_crash_the_annotation_tells_that_a_run_was_reset() {
        let reset = |reset| Declared { reset, ..asked("now", 2, 1) };
        assert_eq!(next(&reset(Some(1)), true), Next::Reset(2));
        assert_eq!(next(&reset(Some(2)), true), accept(3, None));
        assert_eq!(next(&reset(Some(7)), true), Next::Reset(2), "it is another object's");
    }

    #[test]
    fn a_copy_with_the_annotation_of_its_original_leaves_that_number_out() {
        let copy = Declared { reset: Some(3), ..asked("now", 0, 0) };
        assert_eq!(next(&copy, false), accept(4, None));
        let accepted = Declared { reset: Some(3), ..asked("now", 4, 0) };
        assert_eq!(next(&accepted, true), Next::Reset(4));
    }

    #[test]
    fn a_new_value_of_the_annotation_is_a_request_and_waits_for_the_run_under_way() {
        let asked = |run, accepted, value: Option<&str>, handled: Option<&str>| {
            let mut declared = asked(run, accepted, accepted);
            declared.requested_at = value.map(Into::into);
            declared.status.last_handled_run_at = handled.map(Into::into);
            declared
        };
        assert_eq!(next(&asked("manually", 0, Some("a"), None), false), accept(1, Some("a")));
        assert_eq!(next(&asked("once", 1, Some("a"), None), true), accept(2, Some("a")));
        let queued = asked("once", 1, Some("b"), Some("a"));
        assert_eq!((next(&queued, false), is_queued(&queued)), (Next::Rest, true));
        assert!(!is_queued(&asked("once", 1, Some("a"), Some("a"))));
        assert_eq!(next(&asked("manually", 1, Some("a"), Some("a")), true), Next::Rest);
        assert_eq!(next(&asked("manually", 1, None, Some("a")), true), Next::Rest);
        for run in ["once", "now"] {
            let first = next(&asked(run, 0, Some("a"), None), false);
            assert_eq!(first, accept(1, Some("a")), "{run}: answered by the first run");
        }
    }

    #[test]
    fn a_triggered_one_ignores_the_annotation_and_says_so_once() {
        let mut triggered = Declared { requested_at: Some("a".into()), ..declared() };
        assert_eq!(next(&triggered, false), Next::Ignore("a".into()));
        triggered.status.last_handled_run_at = Some("a".into());
        assert_eq!(next(&triggered, false), Next::Rest);
    }

    #[test]
    fn a_run_is_completed_when_it_is_over_and_the_field_is_back() {
        assert_eq!(completed(&asked("now", 3, 2), true), 2);
        assert_eq!(completed(&asked("manually", 3, 2), true), 3);
        assert_eq!(completed(&asked("manually", 3, 2), false), 2);
        assert_eq!(completed(&asked("once", 1, 0), true), 1);
    }
}
