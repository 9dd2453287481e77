//! Whether two logs are one, told from a few of the stamps of their lines.
//!
//! A node that can't tell the streams of a container apart answers a request for one of them with the whole log. So what
//! it says of the two has the same lines, each with the nanosecond in which it was written. Of a log the stamps are kept
//! whose hashes are the least (<https://en.wikipedia.org/wiki/MinHash>): those of two logs that have most lines in common
//! are for the most part the same, also if one was read a little longer than the other.

use jiff::Timestamp;

/// How many are kept.
const KEPT: usize = 64;
/// Two lines may have been written in one nanosecond, but hardly each eighth.
const BY_CHANCE: usize = 8;

/// A few of the stamps of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Hashes, the least first.
    least: Vec<u64>,
}

impl Sketch {
    /// The log has a line with this stamp.
    pub fn note(&mut self, stamp: Timestamp) {
        let hash = hash(stamp);
        if let Err(place) = self.least.binary_search(&hash)
            && place < KEPT
        {
            self.least.truncate(KEPT - 1);
            self.least.insert(place, hash);
        }
    }

    /// Whether the log has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.least.is_empty()
    }

    /// Whether it has more lines in common with the other log than may be by chance.
    #[must_use]
    pub fn shares_lines_with(&self, other: &Self) -> bool {
        let common = self.least.iter().filter(|hash| other.least.binary_search(hash).is_ok()).count();
        common > self.least.len().min(other.least.len()) / BY_CHANCE
    }
}

/// Spreads the stamps of neighbouring lines (the finalizer of SplitMix64).
fn hash(stamp: Timestamp) -> u64 {
    let nanoseconds = stamp.as_nanosecond().to_le_bytes();
    let mut hash = nanoseconds.iter().rev().skip(8).fold(0, |all, &byte| all << 8 | u64::from(byte));
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(nanoseconds: impl IntoIterator<Item = i64>) -> Sketch {
        let mut sketch = Sketch::default();
        for nanosecond in nanoseconds {
            sketch.note(
                Timestamp::from_nanosecond(1_767_225_600_000_000_000 + i128::from(nanosecond)).unwrap(),
            );
        }
        sketch
    }

    #[test]
    fn two_logs_of_one_line_are_one_if_it_is_the_same() {
        assert!(sketch([5]).shares_lines_with(&sketch([5])));
        assert!(sketch([5]).shares_lines_with(&sketch([5, 6])));
        assert!(!sketch([5]).shares_lines_with(&sketch([6])));
        assert!(!sketch([]).shares_lines_with(&sketch([6])));
    }

    #[test]
    fn two_streams_that_are_written_at_once_are_not_one() {
        let (stdout, stderr) =
            (sketch((0..100_000).map(|n| n * 7)), sketch((0..100_000).map(|n| n * 11 + 3)));
        assert!(
            !stdout.shares_lines_with(&stderr),
            "each eleventh line of the one is of a moment of the other"
        );
    }

    proptest! {
        #[test]
        fn of_one_log_that_was_read_to_different_places_each_part_is_known(lines in 1_i64..3000, more in 0_i64..1000) {
            prop_assert!(sketch(0..lines).shares_lines_with(&sketch(0..lines + more.min(lines))));
        }

        #[test]
        fn logs_without_a_common_line_share_none(lines in prop::collection::btree_set(0_i64..1_000_000, 0..500)) {
            let of = |rest: i64| sketch(lines.iter().copied().filter(|line| line % 2 == rest));
            prop_assert!(!of(0).shares_lines_with(&of(1)));
        }
    }
}
