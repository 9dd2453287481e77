//! Where in the log of a drain one run of its container ends, and the next one begins.
//!
//! Under `restartPolicy: OnFailure` a container is started again in its pod, and its standard error goes on through the
//! same pipe. So what starts the command first writes a mark there: a line break, a token that only this Job has, how often
//! it was started before, and another line break. The line breaks are the mark's own: what is left when it is cut out is,
//! byte for byte, what the command wrote.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// 26 characters of base 32 are 130 bits: no program writes them by chance.
const TOKEN_CHARACTERS: usize = 26;
/// The longest number of runs, in digits.
const DIGITS_MAX: usize = 10;

/// The marks of one Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    token: String,
}

/// What comes next in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Something that the command wrote.
    Bytes(Vec<u8>),
    /// The begin of a run; how often it was started before.
    Run(u32),
}

impl Boundary {
    /// That of the Job of this name, of the ExtendedJob with this UID.
    #[must_use]
    pub fn of(uid: &str, job: &str) -> Self {
        let mut token = BASE32_NOPAD.encode(&Sha256::digest(format!("{uid}\0{job}\0boundary")));
        token.truncate(TOKEN_CHARACTERS);
        Self { token: token.to_ascii_lowercase() }
    }

    /// What tells a mark from all else.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Takes a log apart.
    #[must_use]
    pub fn splitter(&self) -> Splitter {
        Splitter { begin: format!("\n{} ", self.token).into_bytes(), held: vec![] }
    }
}

/// Takes a log apart as it comes.
#[derive(Debug)]
pub struct Splitter {
    begin: Vec<u8>,
    /// What may be a part of a mark, as far as it has come.
    held: Vec<u8>,
}

/// What stands at a line break.
enum Mark {
    No,
    Perhaps,
    Whole { run: u32, length: usize },
}

impl Splitter {
    /// Takes the next bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let (mut parts, mut given, mut look) = (vec![], 0, 0);
        while let Some(place) = text[look..].iter().position(|&byte| byte == b'\n').map(|at| look + at) {
            match self.mark(&text[place..]) {
                Mark::No => look = place + 1,
                Mark::Perhaps => {
                    self.held = text.split_off(place);
                    break;
                }
                Mark::Whole { run, length } => {
                    give(&text[given..place], &mut parts);
                    parts.push(Part::Run(run));
                    (given, look) = (place + length, place + length);
                }
            }
        }
        give(&text[given..], &mut parts);
        parts
    }

    /// The log has ended.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn mark(&self, text: &[u8]) -> Mark {
        let common = text.len().min(self.begin.len());
        if text[..common] != self.begin[..common] {
            return Mark::No;
        }
        let number = &text[common..];
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match number.get(digits) {
            None if digits <= DIGITS_MAX => Mark::Perhaps,
            Some(b'\n') => {
                let run = std::str::from_utf8(&number[..digits]).ok().and_then(|digits| digits.parse().ok());
                run.map_or(Mark::No, |run| Mark::Whole { run, length: common + digits + 1 })
            }
            _ => Mark::No,
        }
    }
}

fn give(bytes: &[u8], parts: &mut Vec<Part>) {
    if !bytes.is_empty() {
        parts.push(Part::Bytes(bytes.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boundary() -> Boundary {
        Boundary::of("uid", "job")
    }

    /// A log of these runs, as the starter and the commands write it.
    fn log(runs: &[(u32, &[u8])]) -> Vec<u8> {
        let token = boundary().token;
        let run =
            |(number, bytes): &(u32, &[u8])| [format!("\n{token} {number}\n").as_bytes(), bytes].concat();
        runs.iter().flat_map(run).collect()
    }

    /// What each run wrote, read in chunks of this size; what stands before the first mark has no number.
    fn split(log: &[u8], chunk: usize) -> Vec<(Option<u32>, Vec<u8>)> {
        let mut splitter = boundary().splitter();
        let mut runs = vec![(None, vec![])];
        let mut take = |part| match part {
            Part::Run(number) => runs.push((Some(number), vec![])),
            Part::Bytes(bytes) => runs.last_mut().unwrap().1.extend(bytes),
        };
        for chunk in log.chunks(chunk) {
            splitter.push(chunk).into_iter().for_each(&mut take);
        }
        take(Part::Bytes(splitter.finish()));
        runs
    }

    #[test]
    fn each_run_has_what_it_wrote_and_nothing_of_the_mark() {
        let log = log(&[(0, b"no end"), (1, b""), (2, b"\n\nlines\n")]);
        let runs = [(None, vec![]), (Some(0), b"no end".to_vec()), (Some(1), vec![])];
        let runs = runs.into_iter().chain([(Some(2), b"\n\nlines\n".to_vec())]);
        assert_eq!(split(&log, 7), runs.collect::<Vec<_>>());
    }

    #[test]
    fn what_only_looks_like_a_mark_stays() {
        let token = boundary().token;
        for text in [
            format!("\n{token}"),
            format!("\n{token} "),
            format!("\n{token} x\n"),
            format!("\n{token} 1"),
            format!("{token} 1\n"),
            format!("\n{token} 99999999999\n"),
            format!("\n{} 1\n", Boundary::of("uid", "other").token),
        ] {
            assert_eq!(split(text.as_bytes(), 5), [(None, text.clone().into_bytes())], "{text:?}");
        }
    }

    #[test]
    fn each_job_has_its_own_token() {
        assert_ne!(Boundary::of("uid", "a"), Boundary::of("uid", "b"));
        assert_ne!(Boundary::of("one", "a"), Boundary::of("other", "a"));
    }

    proptest! {
        #[test]
        fn every_byte_is_found_in_its_run(
            runs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..5), chunk in 1_usize..90,
        ) {
            let numbered: Vec<(u32, &[u8])> = (0..).zip(runs.iter().map(Vec::as_slice)).collect();
            let found = split(&log(&numbered), chunk);
            let expected = numbered.iter().map(|(number, bytes)| (Some(*number), bytes.to_vec()));
            prop_assert_eq!(found, std::iter::once((None, vec![])).chain(expected).collect::<Vec<_>>());
        }
    }
}
