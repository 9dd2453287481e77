//! Texts for people, in the length that the API server takes.

/// The longest note of an Event, in bytes (events.k8s.io/v1: 1 kB). A condition could hold more,
/// but nobody would read it.
pub const MESSAGE_MAX: usize = 1000;

/// The text, cut between two characters if it is too long.
#[must_use]
pub fn shorten(mut text: String) -> String {
    const MARK: char = '…';
    if text.len() > MESSAGE_MAX {
        let room = MESSAGE_MAX - MARK.len_utf8();
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("short".into()), "short");
        for text in ["x".repeat(2000), "é".repeat(2000), "x€".repeat(1000)] {
            let cut = shorten(text);
            assert!(cut.len() <= MESSAGE_MAX && cut.ends_with('…'), "{}", cut.len());
        }
    }
}
