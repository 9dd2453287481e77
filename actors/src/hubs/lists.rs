//! Which list an object was last seen in, so that what a later list of the same part does not name is known to be gone.

use std::collections::BTreeMap;

use extendedjob_decide::scope::{Part, Scope};

/// The lists so far, of each part that is watched.
pub(super) struct Lists(BTreeMap<Part, Latest>);

#[derive(Default)]
struct Latest {
    number: u64,
    is_complete: bool,
}

impl Lists {
    pub(super) fn new(scope: &Scope) -> Self {
        Self(scope.parts().map(|part| (part, Latest::default())).collect())
    }

    /// Whether all that there is, is known.
    pub(super) fn are_complete(&self) -> bool {
        self.0.values().all(|latest| latest.is_complete)
    }

    /// The list of a part in which, or after which, it is seen now.
    pub(super) fn number(&self, part: &Part) -> u64 {
        self.0.get(part).map(|latest| latest.number).unwrap_or_default()
    }

    /// A list of a part begins.
    pub(super) fn begin(&mut self, part: &Part) {
        if let Some(latest) = self.0.get_mut(part) {
            latest.number += 1;
        }
    }

    /// The list of a part is complete. Says whether all that there is, is known only now.
    pub(super) fn end(&mut self, part: &Part) -> bool {
        let were_complete = self.are_complete();
        if let Some(latest) = self.0.get_mut(part) {
            latest.is_complete = true;
        }
        !were_complete && self.are_complete()
    }

    /// What is known may be out of date until there is another list of each part.
    pub(super) fn refresh(&mut self) {
        self.0.values_mut().for_each(|latest| latest.is_complete = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_known_when_the_last_part_is_and_that_is_said_once() {
        let mut lists = Lists::new(&Scope::of(&["a".into(), "b".into()]));
        let [a, b] = ["a", "b"].map(|namespace| Some(namespace.into()));
        assert!(!lists.end(&a) && !lists.are_complete());
        assert!(lists.end(&b) && lists.are_complete());
        assert!(!lists.end(&a), "a later list is no news");
        lists.refresh();
        assert!(!lists.end(&b) && lists.end(&a));
    }
}
