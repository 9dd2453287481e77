//! The newest part of a stream that fits, in memory bounded by that part.

/// How far to look for the end of a line before the cut is made inside one.
const NEAR: usize = 4096;

/// Collects a stream and keeps only its end.
#[derive(Debug)]
pub struct Tail {
    limit: usize,
    seen: u64,
    /// At most twice the limit, so that dropping the front costs a copy per limit, not per chunk.
    bytes: Vec<u8>,
}

/// What was kept of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// The newest part, from the beginning of a line where one is near.
    pub bytes: Vec<u8>,
    /// How long the whole stream was.
    pub seen: u64,
}

impl Kept {
    /// Whether a part of the stream is missing.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.seen > self.bytes.len() as u64
    }
}

impl Tail {
    /// Keeps at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, seen: 0, bytes: Vec::new() }
    }

    /// Takes the next part of the stream, of any length.
    pub fn push(&mut self, chunk: &[u8]) {
        self.seen += chunk.len() as u64;
        // One byte more than is kept: it tells whether the rest begins a line.
        let wanted = self.limit + 1;
        let chunk = &chunk[chunk.len().saturating_sub(wanted)..];
        if self.bytes.len() + chunk.len() > 2 * wanted {
            let surplus = (self.bytes.len() + chunk.len()).saturating_sub(wanted).min(self.bytes.len());
            self.bytes.drain(..surplus);
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Ends the stream.
    #[must_use]
    pub fn finish(mut self) -> Kept {
        if self.bytes.len() > self.limit {
            let start = self.bytes.len() - self.limit;
            let start = start + offset_of_clean_start(&self.bytes[start - 1..]);
            self.bytes.drain(..start);
        }
        Kept { bytes: self.bytes, seen: self.seen }
    }
}

/// How much of the kept part to give up so that it starts a line, or at least a character. The
/// first byte is the last one that was not kept.
fn offset_of_clean_start(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(NEAR)];
    if let Some(end_of_line) = near.iter().position(|&byte| byte == b'\n')
        && end_of_line + 1 < bytes.len()
    {
        return end_of_line;
    }
    // A UTF-8 character has at most three continuation bytes.
    bytes.iter().skip(1).take(3).take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(limit: usize, chunks: &[&[u8]]) -> Kept {
        let mut tail = Tail::new(limit);
        for chunk in chunks {
            tail.push(chunk);
        }
        tail.finish()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        for text in ["", "a", "a\nb\n", "no newline"] {
            let kept = kept(10, &[text.as_bytes()]);
            assert_eq!(kept.bytes, text.as_bytes());
            assert!(!kept.is_cut());
        }
    }

    #[test]
    fn the_cut_is_made_at_a_line() {
        let kept = kept(10, &[b"first line\n", b"second\nthird"]);
        assert_eq!(kept.bytes, b"third");
        assert_eq!(kept.seen, 23);
        assert!(kept.is_cut());
    }

    #[test]
    fn a_cut_that_falls_on_a_line_loses_nothing_more() {
        assert_eq!(kept(6, &[b"first\nsecond"]).bytes, b"second");
    }

    #[test]
    fn without_a_line_near_the_cut_is_made_between_characters() {
        let text = "é".repeat(20);
        let kept = kept(7, &[text.as_bytes()]);
        assert_eq!(String::from_utf8(kept.bytes).unwrap(), "ééé");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_an_end_of_the_stream_within_the_limit(
            limit in 0usize..50,
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let whole: Vec<u8> = chunks.concat();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let kept = kept(limit, &chunks);
            prop_assert!(whole.ends_with(&kept.bytes));
            prop_assert!(kept.bytes.len() <= limit);
            prop_assert_eq!(kept.seen, whole.len() as u64);
            prop_assert_eq!(kept.is_cut(), kept.bytes.len() < whole.len());
        }

        #[test]
        fn text_stays_text(limit in 4usize..50, text in "[aé€😀\n]{0,60}") {
            prop_assert!(String::from_utf8(kept(limit, &[text.as_bytes()]).bytes).is_ok());
        }

        #[test]
        fn memory_is_bounded_by_the_limit(chunks in proptest::collection::vec(1usize..200, 0..50)) {
            let mut tail = Tail::new(64);
            for length in chunks {
                tail.push(&vec![b'x'; length]);
                prop_assert!(tail.bytes.len() <= 2 * 65);
            }
        }
    }
}
