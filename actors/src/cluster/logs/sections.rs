//! What is kept of a log that is followed: of the whole, or of each run of the container that it serves.

use extendedjob_decide::{
    boundary::{Boundary, Part, Splitter},
    tail::{Kept, Tail},
};

use super::{LogError, LogName};
use crate::{
    capture::{Capture, Recorder, Spool},
    cluster::Cluster,
};

/// Told what a run of a container has left in the log of its drain, and how often that was started before the next one,
/// which begins.
pub(crate) type Tell = Box<dyn Fn(Section, u32)>;

/// How a log is taken apart, and who wants to know what of it is whole already.
pub(crate) struct Sections {
    pub(crate) boundary: Boundary,
    pub(crate) tell: Tell,
}

/// What a run has left.
pub(crate) struct Section {
    /// How often the container had been started before; `None`: what stands before the first mark.
    pub(crate) run: Option<u32>,
    pub(crate) capture: Capture,
    /// Something of it may be missing.
    pub(crate) possibly_rotated: bool,
}

/// Keeps the newest part of a log, or of each of its sections.
pub(super) struct Keeper {
    spool: Spool,
    keep: usize,
    recorder: Recorder,
    seen: u64,
    run: Option<u32>,
    sections: Option<(Splitter, Tell)>,
}

impl Keeper {
    pub(super) fn new(spool: Spool, keep: usize, sections: Option<Sections>) -> Self {
        let recorder = Recorder::new(spool.clone(), keep);
        let sections = sections.map(|Sections { boundary, tell }| (boundary.splitter(), tell));
        Self { spool, keep, recorder, seen: 0, run: None, sections }
    }

    /// How long the log is so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next part of the log; `possibly_rotated`: something before it may be missing.
    pub(super) async fn push(&mut self, bytes: &[u8], possibly_rotated: bool) {
        self.seen += bytes.len() as u64;
        let Some((splitter, _)) = &mut self.sections else { return self.recorder.push(bytes).await };
        for part in splitter.push(bytes) {
            match part {
                Part::Bytes(bytes) => self.recorder.push(&bytes).await,
                Part::Run(run) => self.begin(run, possibly_rotated).await,
            }
        }
    }

    async fn begin(&mut self, next: u32, possibly_rotated: bool) {
        let recorder = Recorder::new(self.spool.clone(), self.keep);
        let capture = std::mem::replace(&mut self.recorder, recorder).finish().await;
        let run = self.run.replace(next);
        if let Some((_, tell)) = &self.sections {
            tell(Section { run, capture, possibly_rotated }, next);
        }
    }

    /// The log has ended: its last section.
    pub(super) async fn finish(mut self, possibly_rotated: bool) -> Section {
        if let Some((splitter, _)) = &mut self.sections {
            self.recorder.push(&splitter.finish()).await;
        }
        Section { run: self.run, capture: self.recorder.finish().await, possibly_rotated }
    }
}

/// A run of a container, to be looked for in the log of its drain.
#[derive(Clone, Debug)]
pub(crate) struct OneRun {
    pub(crate) boundary: Boundary,
    /// How often the container had been started before.
    pub(crate) run: u32,
    /// There is no later one.
    pub(crate) is_last: bool,
}

impl Cluster {
    /// The newest `limit` bytes of what one run has left in the log of its drain, and whether something before them may be
    /// missing; `None`: nothing of it is there.
    pub(crate) async fn section(
        &self,
        log: &LogName,
        previous: bool,
        of: &OneRun,
        limit: usize,
    ) -> Result<Option<(Kept, bool)>, LogError> {
        let mut search = Search::new(of, limit);
        self.read_log(log, previous, |bytes| search.push(bytes)).await?;
        Ok(search.finish())
    }
}

/// Takes the section of one run out of a log.
struct Search<'a> {
    of: &'a OneRun,
    splitter: Splitter,
    at: Option<u32>,
    /// What stands before the first mark: the rest of a section whose mark went with an older part of the log.
    before: Tail,
    found: Option<Tail>,
    limit: usize,
    is_rotated: bool,
}

impl<'a> Search<'a> {
    fn new(of: &'a OneRun, limit: usize) -> Self {
        let (splitter, before) = (of.boundary.splitter(), Tail::new(limit));
        Self { of, splitter, at: None, before, found: None, limit, is_rotated: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        for part in self.splitter.push(bytes) {
            match part {
                Part::Bytes(bytes) => self.take(&bytes),
                Part::Run(run) => self.begin(run),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        match (self.at, &mut self.found) {
            (None, _) => self.before.push(bytes),
            (Some(run), Some(found)) if run == self.of.run => found.push(bytes),
            _ => {}
        }
    }

    fn begin(&mut self, run: u32) {
        if self.at.is_none() && run == self.of.run + 1 {
            self.take_rest();
        }
        if run == self.of.run {
            self.found.get_or_insert_with(|| Tail::new(self.limit));
        }
        self.at = Some(run);
    }

    fn take_rest(&mut self) {
        self.found = Some(std::mem::replace(&mut self.before, Tail::new(0)));
        self.is_rotated = true;
    }

    fn finish(mut self) -> Option<(Kept, bool)> {
        let rest = self.splitter.finish();
        self.take(&rest);
        if self.at.is_none() && self.of.is_last {
            self.take_rest();
        }
        self.found.map(|found| (found.finish(), self.is_rotated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of run 1, if it is the last one, and whether something may be missing.
    fn found(log: &str, is_last: bool) -> Option<(String, bool)> {
        let boundary = Boundary::of("uid", "job");
        let log = log.replace('#', boundary.token());
        let of = OneRun { boundary, run: 1, is_last };
        let mut search = Search::new(&of, 100);
        log.as_bytes().chunks(7).for_each(|chunk| search.push(chunk));
        search.finish().map(|(kept, is_rotated)| (String::from_utf8(kept.bytes).unwrap(), is_rotated))
    }

    #[test]
    fn a_run_is_found_between_its_mark_and_the_next() {
        let whole = |text: &str| Some((text.to_owned(), false));
        assert_eq!(found("\n# 0\nzero\n# 1\none\n# 2\ntwo", false), whole("one"));
        assert_eq!(found("\n# 0\nzero\n# 1\none\n", true), whole("one\n"));
        assert_eq!(found("\n# 0\nzero\n# 1\n", true), whole(""));
    }

    #[test]
    fn what_a_rotation_has_left_of_it_is_found_and_of_others_nothing() {
        let rest = |text: &str| Some((text.to_owned(), true));
        assert_eq!(found("rest of one\n# 2\ntwo", false), rest("rest of one"));
        assert_eq!(found("rest of one\n", true), rest("rest of one\n"));
        assert_eq!(found("rest of some\n", false), None);
        assert_eq!(found("\n# 0\nzero", true), None, "it never began to write");
    }
}
