//! What one actor adds to a gauge, and takes back when it ends, however that comes about.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;

/// One actor's part of a sum.
pub(crate) struct Share {
    sum: Gauge,
    part: i64,
}

impl Share {
    /// Nothing yet.
    pub(super) fn of(sum: &Gauge) -> Self {
        Self { sum: sum.clone(), part: 0 }
    }

    /// It is so many now.
    pub(crate) fn set(&mut self, part: usize) {
        let part = i64::try_from(part).unwrap_or(i64::MAX);
        if part != self.part {
            self.sum.inc_by(part - self.part);
            self.part = part;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A gauge of the largest of several sizes.
pub(crate) struct Largest {
    gauge: Gauge,
    /// How many there are of each size.
    sizes: Arc<Mutex<BTreeMap<usize, usize>>>,
}

/// One of these sizes.
pub(crate) struct SizeOf {
    of: Largest,
    size: usize,
}

impl Largest {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { gauge, sizes: Arc::default() }
    }

    /// One that has none yet.
    pub(super) fn one(&self) -> SizeOf {
        let of = Self { gauge: self.gauge.clone(), sizes: Arc::clone(&self.sizes) };
        SizeOf { of, size: 0 }
    }
}

impl SizeOf {
    /// It is so large now.
    pub(crate) fn set(&mut self, size: usize) {
        if size == self.size {
            return;
        }
        let mut sizes = self.of.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sizes.get_mut(&self.size) {
            *count -= 1;
            if *count == 0 {
                sizes.remove(&self.size);
            }
        }
        if size > 0 {
            *sizes.entry(size).or_default() += 1;
        }
        self.size = size;
        let largest = sizes.last_key_value().map_or(0, |(size, _)| *size);
        self.of.gauge.set(i64::try_from(largest).unwrap_or(i64::MAX));
    }
}

impl Drop for SizeOf {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_no_longer_counts() {
        let sum = Gauge::default();
        let (mut one, mut other) = (Share::of(&sum), Share::of(&sum));
        one.set(3);
        other.set(4);
        one.set(2);
        assert_eq!(sum.get(), 6);
        drop(one);
        assert_eq!(sum.get(), 4);
    }

    #[test]
    fn what_falls_and_comes_again_counts_once() {
        let sum = Gauge::default();
        let fallen = Share::of(&sum);
        let fall = std::panic::AssertUnwindSafe(move || {
            let mut share = fallen;
            share.set(5);
            panic!("a test wants it");
        });
        std::panic::catch_unwind(fall).unwrap_err();
        let mut again = Share::of(&sum);
        again.set(5);
        assert_eq!(sum.get(), 5);
    }

    #[test]
    fn the_largest_of_those_that_are_there_is_told() {
        let largest = Largest::new(Gauge::default());
        let (mut one, mut other) = (largest.one(), largest.one());
        one.set(10);
        other.set(10);
        one.set(7);
        assert_eq!(largest.gauge.get(), 10);
        drop(other);
        assert_eq!(largest.gauge.get(), 7);
        one.set(0);
        assert_eq!(largest.gauge.get(), 0);
    }
}
