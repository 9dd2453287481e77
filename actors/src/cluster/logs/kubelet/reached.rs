//! How far a file has been read, and how to tell that it is still the same one.

/// Longer than a line of a log: runtimes cut what is longer than 16 KiB.
const LAST_MAX: usize = 20 * 1024;

/// A place in a file. The last line before it, whole, holds a stamp down to the nanosecond: no other file has the same
/// there. (It is not enough to know the last few bytes: those of long lines may be alike.)
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    offset: u64,
    last: Vec<u8>,
}

impl Reached {
    /// These bytes were read next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let last = [&self.last[..], bytes].concat();
        let is_break = |&byte: &u8| byte == b'\n';
        let end = last.iter().rposition(is_break).unwrap_or_default();
        let start = last[..end].iter().rposition(is_break).map_or(0, |before| before + 1);
        self.offset += bytes.len() as u64;
        self.last = last[start.max(last.len().saturating_sub(LAST_MAX))..].to_vec();
    }

    /// Where what must be the same begins.
    pub(super) fn known_from(&self) -> u64 {
        self.offset - self.last.len() as u64
    }

    /// What must be the same.
    pub(super) fn known(&self) -> &[u8] {
        &self.last
    }

    /// Whether the line before it goes on.
    pub(super) fn is_within_line(&self) -> bool {
        self.last.last().is_some_and(|&byte| byte != b'\n')
    }

    /// Whether nothing has been read.
    pub(super) fn is_start(&self) -> bool {
        self.offset == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(parts: &[&str]) -> (u64, String) {
        let mut reached = Reached::default();
        parts.iter().for_each(|part| reached.push(part.as_bytes()));
        (reached.known_from(), String::from_utf8(reached.known().to_vec()).unwrap())
    }

    #[test]
    fn the_last_whole_line_is_kept_with_what_follows_it() {
        assert_eq!(after(&[]), (0, String::new()));
        assert_eq!(after(&["on"]), (0, "on".into()));
        assert_eq!(after(&["one\ntwo\n"]), (4, "two\n".into()));
        assert_eq!(after(&["one\ntw", "o\nth"]), (4, "two\nth".into()));
        assert_eq!(after(&["one\ntw", "o"]), (0, "one\ntwo".into()));
    }

    #[test]
    fn of_what_has_no_lines_little_is_kept() {
        let long = "x".repeat(1000);
        let (from, kept) = after(&[long.as_str(); 100]);
        assert_eq!((from, kept.len()), (100_000 - LAST_MAX as u64, LAST_MAX));
    }
}
