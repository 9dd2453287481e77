//! The log file of a container as its runtime writes it, in which each line says of which stream it is.
//!
//! ```text
//! 2026-01-01T00:00:01.000000001Z stdout F a whole line                        the CRI's format
//! 2026-01-01T00:00:01.000000001Z stderr P a part of a line, which goes on
//! {"log":"a whole line\n","stream":"stdout","time":"2026-01-01T00:00:01.000000001Z"}     that of older runtimes
//! ```

use extendedjob_api::Stream;
use serde::Deserialize;

/// Longer than what stands before the text of a line: a stamp, a stream, tags.
const HEAD_MAX: usize = 80;
/// A runtime cuts lines into parts that are far shorter.
const LINE_MAX: usize = 1024 * 1024;

/// Takes the two streams out of a log file as it comes.
#[derive(Debug, Default)]
pub struct LogFile {
    /// A line that has not come to its end.
    begun: Vec<u8>,
    strays: u64,
}

/// A line of the older format.
#[derive(Deserialize)]
struct JsonLine {
    log: String,
    stream: String,
}

impl LogFile {
    /// Takes the next bytes of the file; `take` is given what the container wrote, and on which stream.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Stream, &[u8])) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if !part.ends_with(b"\n") || !self.begun.is_empty() {
                self.begun.extend_from_slice(part);
                if !part.ends_with(b"\n") {
                    // Whatever that is, it is no log.
                    if self.begun.len() > LINE_MAX {
                        self.begun.clear();
                        self.strays += 1;
                    }
                    continue;
                }
                let line = std::mem::take(&mut self.begun);
                self.line(&line, &mut take);
            } else {
                self.line(part, &mut take);
            }
        }
    }

    /// How many lines were none of a log.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }

    fn line(&mut self, line: &[u8], take: &mut impl FnMut(Stream, &[u8])) {
        if line.starts_with(b"{") {
            match serde_json::from_slice::<JsonLine>(line)
                .ok()
                .and_then(|it| Some((named(it.stream.as_bytes())?, it.log)))
            {
                Some((stream, log)) => take(stream, log.as_bytes()),
                None => self.strays += 1,
            }
            return;
        }
        match cri_line(line) {
            Some((stream, text)) => take(stream, text),
            None => self.strays += 1,
        }
    }
}

/// The stream of a line in the CRI's format, and what was written: without the line break if the line goes on.
fn cri_line(line: &[u8]) -> Option<(Stream, &[u8])> {
    let mut ends =
        line.iter().take(HEAD_MAX).enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let (stamp, stream, tags) = (ends.next()?, ends.next()?, ends.next()?);
    let stream = named(&line[stamp + 1..stream]).map(|named| (named, stream))?;
    // Several tags may come, of which the first tells this.
    let text = match line[stream.1 + 1..tags].split(|&byte| byte == b':').next()? {
        b"F" => &line[tags + 1..],
        b"P" => &line[tags + 1..line.len() - 1],
        _ => return None,
    };
    Some((stream.0, text))
}

fn named(stream: &[u8]) -> Option<Stream> {
    match stream {
        b"stdout" => Some(Stream::Stdout),
        b"stderr" => Some(Stream::Stderr),
        _ => None,
    }
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

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fall(file: Vec<u8>, chunk in 1_usize..50) {
            let mut log = LogFile::default();
            file.chunks(chunk).for_each(|chunk| log.push(chunk, |_, _| {}));
        }
    }
}
