//! Remembers what is slow to compute, by what it was computed from: packing, unpacking and hashing
//! would take most of the time, and give the same each time.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hash},
};

use crate::explorer::{Even, fingerprint};

/// What was computed, by the fingerprint of all that it depends on.
#[derive(Debug)]
pub(crate) struct Memo<T>(RefCell<HashMap<u128, T, BuildHasherDefault<Even>>>);

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Clone> Memo<T> {
    pub(crate) fn get(&self, of: impl Hash, compute: impl FnOnce() -> T) -> T {
        let print = fingerprint(&of);
        if let Some(known) = self.0.borrow().get(&print) {
            return known.clone();
        }
        let computed = compute();
        self.0.borrow_mut().insert(print, computed.clone());
        computed
    }
}
