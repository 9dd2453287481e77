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

/// What the API server says against a Job made of a template, for someone who knows only the
/// template: without the name of a Job that does not exist.
#[must_use]
pub fn about_template(refusal: &str) -> String {
    let fault = refusal.split_once(" is invalid: ").map_or(refusal, |(_, fault)| fault);
    format!("the API server refuses a Job with this spec.template: {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_no_job_that_does_not_exist() {
        let refusal =
            r#"Job.batch "a-b" is invalid: spec.template.spec.containers[0].name: Invalid value: "A""#;
        let fault = r#"spec.template.spec.containers[0].name: Invalid value: "A""#;
        let expected = format!("the API server refuses a Job with this spec.template: {fault}");
        assert_eq!(about_template(refusal), expected);
        assert!(about_template("strict decoding error").ends_with("strict decoding error"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("short".into()), "short");
        for text in ["x".repeat(2000), "é".repeat(2000), "x€".repeat(1000)] {
            let cut = shorten(text);
            assert!(cut.len() <= MESSAGE_MAX && cut.ends_with('…'), "{}", cut.len());
        }
    }
}
