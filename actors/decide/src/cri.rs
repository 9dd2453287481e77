//! The log file of a container as its runtime writes it, in which each line says of which stream it is.
//!
//! ```text
//! 2026-01-01T00:00:01.000000001Z stdout F a whole line                        the CRI's format
//! 2026-01-01T00:00:01.000000001Z stderr P a part of a line, which goes on
//! {"log":"a whole line\n","stream":"stdout","time":"2026-01-01T00:00:01.000000001Z"}     that of older runtimes
//! ```

use std::str;

use extendedjob_api::Stream;
use jiff::Timestamp;
use serde::Deserialize;

/// Longer than what stands before the text of a line: a stamp, a stream, tags.
const HEAD_MAX: usize = 80;
/// Unless they are told otherwise, runtimes cut lines into parts that are far shorter.
const LINE_MAX: usize = 1024 * 1024;

/// Takes the two streams out of a log file as it comes.
#[derive(Debug, Default)]
pub struct LogFile {
    /// A line that has not come to its end.
    begun: Vec<u8>,
    /// That line has grown so long that it is left out.
    is_overlong: bool,
    strays: u64,
    first: Option<Timestamp>,
}

/// A line of either format.
struct Line<'a> {
    stamp: &'a str,
    stream: Stream,
    /// What was written: without a line break if the line goes on.
    text: &'a [u8],
}

/// A line of the older format.
#[derive(Deserialize)]
struct JsonLine {
    log: String,
    stream: String,
    #[serde(default)]
    time: String,
}

impl LogFile {
    /// Takes the next bytes of the file; `take` is given what the container wrote, and on which stream.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Stream, &[u8])) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let is_end = part.ends_with(b"\n");
            if is_end && self.begun.is_empty() && !self.is_overlong {
                self.line(part, &mut take);
                continue;
            }
            if !self.is_overlong {
                self.begun.extend_from_slice(part);
            }
            if self.begun.len() > LINE_MAX {
                // Whatever that is, it is no log.
                self.begun = vec![];
                self.is_overlong = true;
            }
            if is_end {
                let line = std::mem::take(&mut self.begun);
                self.is_overlong = false;
                self.line(&line, &mut take);
            }
        }
    }

    /// How many lines were none of a log.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// The second in which the first line was written; `None`: there is none.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    fn line(&mut self, line: &[u8], take: &mut impl FnMut(Stream, &[u8])) {
        let json = line.starts_with(b"{").then(|| serde_json::from_slice::<JsonLine>(line).ok()).flatten();
        let Some(Line { stamp, stream, text }) = json.as_ref().map_or_else(|| cri_line(line), json_line)
        else {
            self.strays += 1;
            return;
        };
        if self.first.is_none() {
            self.first = second(stamp);
        }
        take(stream, text);
    }
}

fn json_line(JsonLine { log, stream, time }: &JsonLine) -> Option<Line<'_>> {
    Some(Line { stamp: time, stream: named(stream.as_bytes())?, text: log.as_bytes() })
}

fn cri_line(line: &[u8]) -> Option<Line<'_>> {
    let is_space = |at: &usize| line[*at] == b' ';
    let mut spaces = (0..line.len().min(HEAD_MAX)).filter(is_space);
    let (stamp, stream, tags) = (spaces.next()?, spaces.next()?, spaces.next()?);
    // Several tags may come, of which the first tells this.
    let text = match line[stream + 1..tags].split(|&byte| byte == b':').next()? {
        b"F" => &line[tags + 1..],
        b"P" => line[tags + 1..].strip_suffix(b"\n")?,
        _ => return None,
    };
    let stream = named(&line[stamp + 1..stream])?;
    Some(Line { stamp: str::from_utf8(&line[..stamp]).ok()?, stream, text })
}

fn named(stream: &[u8]) -> Option<Stream> {
    match stream {
        b"stdout" => Some(Stream::Stdout),
        b"stderr" => Some(Stream::Stderr),
        _ => None,
    }
}

/// The second in which a line with this stamp was written.
fn second(stamp: &str) -> Option<Timestamp> {
    Timestamp::from_second(stamp.parse::<Timestamp>().ok()?.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What stands on each stream, read in chunks of this size; and how many lines were none.
    fn streams(file: &[u8], chunk: usize) -> (String, String, u64) {
        let (mut log, mut stdout, mut stderr) = (LogFile::default(), vec![], vec![]);
        for chunk in file.chunks(chunk) {
            log.push(chunk, |stream, bytes| match stream {
                Stream::Stdout => stdout.extend_from_slice(bytes),
                _ => stderr.extend_from_slice(bytes),
            });
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr), log.strays())
    }

    #[test]
    fn lines_go_to_their_streams_and_parts_are_joined() {
        let file = "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:01Z stderr F err\n\
                    2026-01-01T00:00:02Z stdout P tw\n2026-01-01T00:00:02Z stdout F o\n\
                    2026-01-01T00:00:03Z stderr F \n2026-01-01T00:00:03Z stdout P:x no end\n";
        let expected = ("one\ntwo\nno end".to_owned(), "err\n\n".to_owned(), 0);
        for chunk in [1, 7, 1000] {
            assert_eq!(streams(file.as_bytes(), chunk), expected);
        }
    }

    #[test]
    fn the_format_of_older_runtimes_is_read_too() {
        let file = "{\"log\":\"a \\\"b\\\"\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:01Z\"}\n\
                    {\"log\":\"err\",\"stream\":\"stderr\",\"time\":\"2026-01-01T00:00:01Z\"}\n";
        assert_eq!(streams(file.as_bytes(), 9), ("a \"b\"\n".to_owned(), "err".to_owned(), 0));
    }

    #[test]
    fn what_is_no_line_of_a_log_is_counted_and_left_out() {
        let file =
            "no log\n2026-01-01T00:00:01Z stdin F x\n2026-01-01T00:00:01Z stdout Q x\n{\"log\": 1}\n\n";
        assert_eq!(streams(file.as_bytes(), 100), (String::new(), String::new(), 5));
    }

    #[test]
    fn the_first_line_tells_its_second() {
        let of = |file: &str| {
            let mut log = LogFile::default();
            log.push(file.as_bytes(), |_, _| {});
            log.first().map(|first| first.to_string())
        };
        let second = Some("2026-01-01T00:00:01Z".to_owned());
        // As a node with another clock than UTC writes it.
        let cri = "no line\n2026-01-01T02:00:01.9+02:00 stdout F a\n2026-01-01T00:00:05Z stdout F b\n";
        assert_eq!(of(cri), second);
        let json = "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:01.9Z\"}\n";
        assert_eq!(of(json), second);
        assert_eq!(of("no line\n"), None);
    }

    #[test]
    fn what_is_too_long_for_a_line_is_left_out_to_its_end() {
        let file =
            [&b"x".repeat(2 * LINE_MAX)[..], b" stdout F no\n2026-01-01T00:00:01Z stdout F yes\n"].concat();
        for chunk in [1000, file.len()] {
            assert_eq!(streams(&file, chunk), ("yes\n".to_owned(), String::new(), 1));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fall(file: Vec<u8>, chunk in 1_usize..50) {
            let mut log = LogFile::default();
            file.chunks(chunk).for_each(|chunk| log.push(chunk, |_, _| {}));
        }
    }
}
