//! A log that is followed from its start, over all breaks: each byte once, and none left out.
//!
//! Read with `timestamps=true` each line bears a stamp, which is taken off here. After a break the log is read again from
//! the second of the newest stamp on (the API's `sinceTime` has whole seconds), and what had been taken of that second
//! is counted off. The parts of one long line have one stamp, before the first of them.

use jiff::Timestamp;

/// Longer than any stamp, with the space behind it.
const STAMP_MAX: usize = 40;

/// What is known of the log so far. Memory does not grow with it, nor with its lines.
#[derive(Debug, Default)]
pub struct Follower {
    first: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// How many lines of the second of `newest` have been begun.
    lines: u64,
    /// How much has been taken of the line that began last; `None` where that is of an earlier second.
    taken: Option<u64>,
    place: Place,
    /// What may be a stamp, as far as it has come.
    stamp: Vec<u8>,
    /// Lines that are still to be counted off.
    again: Option<u64>,
    gap: bool,
    /// Whether a line has come since the log was opened.
    begun: bool,
    /// Whether something has come since then that is neither a line nor the rest of one.
    stray: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In the stamp of a line.
    #[default]
    Stamp,
    /// In a line that is taken.
    Line,
    /// In a line of which so many bytes were taken before; `None`: all.
    Taken(Option<u64>),
}

impl Follower {
    /// From when on to read after a break; `None`: from the start.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.newest.map(second)
    }

    /// The second in which the first line was written; `None`: there is none.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// Whether something has come that is neither a line nor the rest of one.
    #[must_use]
    pub fn has_stray(&self) -> bool {
        self.stray
    }

    /// The log is read again, from [`Self::since`] on.
    pub fn resume(&mut self) {
        self.place = Place::Stamp;
        self.stamp.clear();
        self.again = self.newest.map(|_| self.lines);
        (self.begun, self.stray) = (false, false);
    }

    /// Whether the log, which is at its end now, was cut short: the kubelet puts its own trouble behind what it has
    /// sent, such as that it has too many files open to follow one more.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.stray || !self.stamp.is_empty()
    }

    /// Whether something is missing: the log was rotated while it was not read.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.gap
    }

    /// Takes the next bytes of the log, and adds to `out` what the container wrote.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            chunk = match self.place {
                Place::Stamp => self.in_stamp(chunk),
                Place::Line => self.in_line(chunk, out),
                Place::Taken(left) => self.in_taken(chunk, left),
            };
        }
    }

    fn in_stamp<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let end = chunk.iter().position(|&byte| byte == b' ' || byte == b'\n');
        let room = STAMP_MAX - self.stamp.len();
        let length = end.map_or(chunk.len(), |end| end + 1).min(room);
        let (head, rest) = chunk.split_at(length);
        self.stamp.extend_from_slice(head);
        if head.ends_with(b" ")
            && let Some(stamp) =
                std::str::from_utf8(&self.stamp).ok().and_then(|it| it.trim_end().parse().ok())
        {
            self.stamp.clear();
            self.begin_line(stamp);
            return rest;
        }
        let ends_line = head.ends_with(b"\n");
        if !ends_line && !head.ends_with(b" ") && self.stamp.len() < STAMP_MAX {
            return rest;
        }
        // No stamp: the rest of a line that began before that second, and was taken; anything else is not the
        // container's.
        self.stamp.clear();
        self.stray |= self.begun || self.newest.is_none();
        self.place = if ends_line { Place::Stamp } else { Place::Taken(None) };
        rest
    }

    fn begin_line(&mut self, stamp: Timestamp) {
        self.begun = true;
        let newest = self.newest.unwrap_or(stamp);
        self.place = match self.again {
            Some(left) if stamp <= newest => {
                // One of an earlier second was not counted either.
                let left = left.saturating_sub(u64::from(stamp >= second(newest)));
                self.again = (left > 0).then_some(left);
                Place::Taken(self.taken.filter(|_| left == 0))
            }
            Some(_) => {
                self.again = None;
                self.gap = true;
                self.take_line(stamp)
            }
            None => self.take_line(stamp),
        };
    }

    fn take_line(&mut self, stamp: Timestamp) -> Place {
        self.first.get_or_insert_with(|| second(stamp));
        let newest = self.newest.unwrap_or(stamp);
        if second(stamp) > second(newest) {
            self.lines = 0;
        }
        self.newest = Some(newest.max(stamp));
        let counts = stamp >= second(newest);
        self.lines += u64::from(counts);
        self.taken = counts.then_some(0);
        Place::Line
    }

    fn in_line<'a>(&mut self, chunk: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let (head, rest) = chunk.split_at(end.map_or(chunk.len(), |end| end + 1));
        out.extend_from_slice(head);
        self.taken = self.taken.map(|taken| taken + head.len() as u64);
        if end.is_some() {
            self.place = Place::Stamp;
        }
        rest
    }

    fn in_taken<'a>(&mut self, chunk: &'a [u8], left: Option<u64>) -> &'a [u8] {
        let most =
            left.map_or(chunk.len(), |left| chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let end = chunk[..most].iter().position(|&byte| byte == b'\n');
        let (head, rest) = chunk.split_at(end.map_or(most, |end| end + 1));
        self.place = match left.map(|left| left - head.len() as u64) {
            _ if end.is_some() => Place::Stamp,
            Some(0) => Place::Line,
            left => Place::Taken(left),
        };
        rest
    }
}

/// The beginning of its second.
fn second(stamp: Timestamp) -> Timestamp {
    Timestamp::from_second(stamp.as_second()).unwrap_or(stamp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Milliseconds of the stamp, and the text, of each line.
    type Lines = Vec<(i64, String)>;

    fn stamped(lines: &[(i64, String)]) -> Vec<u8> {
        let line = |(at, text): &(i64, String)| {
            let at = Timestamp::from_millisecond(1_700_000_000_000 + at).unwrap();
            format!("{at:.9} {text}")
        };
        lines.iter().map(line).collect::<String>().into_bytes()
    }

    /// What the kubelet sends of these lines from `since` on.
    fn read(lines: &Lines, since: Option<Timestamp>) -> Vec<u8> {
        let since = since.map_or(i64::MIN, |since| since.as_millisecond() - 1_700_000_000_000);
        let later: Lines = lines.iter().filter(|(at, _)| *at >= since).cloned().collect();
        stamped(&later)
    }

    fn text(lines: &Lines) -> Vec<u8> {
        lines.iter().flat_map(|(_, text)| text.bytes()).collect()
    }

    fn log() -> impl Strategy<Value = Lines> {
        let line = (0i64..900, "[a-c 9:é]{0,12}", prop::bool::weighted(0.05));
        proptest::collection::vec(line, 0..12).prop_map(|lines| {
            let mut at = 0;
            let last = lines.len().saturating_sub(1);
            let line = |(place, (step, text, _)): (usize, (i64, String, bool))| {
                at += if step < 450 { 0 } else { step };
                (at, if place == last && text.len() % 2 == 0 { text } else { text + "\n" })
            };
            lines.into_iter().enumerate().map(line).collect()
        })
    }

    proptest! {
        #[test]
        fn each_byte_is_taken_once_over_all_breaks(
            lines in log(),
            breaks in proptest::collection::vec(0usize..300, 0..5),
            size in 1usize..40,
        ) {
            let (mut follower, mut out) = (Follower::default(), vec![]);
            for at in breaks.into_iter().map(Some).chain([None]) {
                let sent = read(&lines, follower.since());
                let sent = &sent[..at.unwrap_or(sent.len()).min(sent.len())];
                sent.chunks(size).for_each(|chunk| follower.push(chunk, &mut out));
                if at.is_some() {
                    follower.resume();
                }
            }
            let whole = text(&lines);
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
            prop_assert!(!follower.has_gap() && !follower.is_cut_short());
        }
    }

    fn pushed(follower: &mut Follower, bytes: &[u8]) -> String {
        let mut out = vec![];
        follower.push(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_that_is_newer_than_all_that_was_taken_tells_of_a_gap() {
        let mut follower = Follower::default();
        pushed(&mut follower, &stamped(&[(0, "a\n".into()), (1, "b\n".into())]));
        follower.resume();
        assert_eq!(pushed(&mut follower, &stamped(&[(5000, "z\n".into())])), "z\n");
        assert!(follower.has_gap());
    }

    #[test]
    fn the_rest_of_a_long_line_of_before_is_not_taken_again() {
        let mut follower = Follower::default();
        pushed(&mut follower, &stamped(&[(0, "a long\n".into()), (2500, "b\n".into())]));
        follower.resume();
        let mut sent = b"rest of a long line\n".to_vec();
        sent.extend(stamped(&[(2500, "b\n".into()), (2600, "c\n".into())]));
        assert_eq!(pushed(&mut follower, &sent), "c\n");
    }

    #[test]
    fn what_the_kubelet_says_of_itself_is_no_output_and_told() {
        let words = "failed to create fsnotify watcher: too many open files";
        for words in [words.to_owned(), "EOF".to_owned(), format!("{words}\n")] {
            let mut follower = Follower::default();
            let sent = [stamped(&[(0, "a\n".into())]), words.into_bytes()].concat();
            assert_eq!(pushed(&mut follower, &sent), "a\n");
            assert!(follower.is_cut_short());
            follower.resume();
            let sent = stamped(&[(0, "a\n".into()), (1, "b\n".into())]);
            assert_eq!(pushed(&mut follower, &sent), "b\n");
            assert!(!follower.is_cut_short() && !follower.has_gap());
        }
    }
}
