//! The log files of one run of a container, read one after the other while they grow and are rotated.
//!
//! Nothing tells of a rotation. So each request begins a little before the place that was reached, and what comes is
//! compared with what is known to stand there. If it differs, the file has another name by now, and is looked for.

use std::collections::BTreeSet;

use super::{
    KubeletError, Kubelets, LogPlace,
    folder::{Folder, Rotated},
    packed::Unpacker,
    reached::Reached,
};

/// How much is asked for at a time.
const CHUNK: usize = 64 * 1024;
/// How often it is tried to find a file that is renamed, compressed or removed meanwhile. The kubelet looks for what it
/// may rotate each ten seconds.
const TRIES: u32 = 8;

/// The log files of one run of a container, read over their rotations while they grow.
pub(crate) struct LogFiles {
    kubelets: Kubelets,
    place: LogPlace,
    /// The file that is read, and how far; `None`: the next one is the oldest that was not read.
    at: Option<(File, Reached)>,
    /// Rotated files that need not be read any more.
    done: BTreeSet<String>,
    began_rotated: Option<bool>,
    has_gap: bool,
}

/// A file, by the name that it had when it was looked for.
enum File {
    Growing,
    Rotated(String),
    /// That, compressed: it can only be read from its start on.
    Packed(String, Box<Unpacker>),
}

/// What is in a file behind a place.
enum More {
    /// Nothing, if that is its end (for now).
    Bytes(Vec<u8>),
    /// It is not that file.
    Another,
    /// There is no file of this name.
    Gone,
    /// It can't be unpacked.
    Damaged,
}

/// What came of an attempt to read on.
enum Step {
    /// Something was read, and there may be more.
    Read,
    AllForNow,
    /// Something was found out about the files.
    Again,
}

impl LogFiles {
    pub(crate) fn new(kubelets: Kubelets, place: LogPlace) -> Self {
        Self { kubelets, place, at: None, done: BTreeSet::new(), began_rotated: None, has_gap: false }
    }

    /// Appends the next bytes of the files, in their order, to `out`: about 64 KiB at most. `false`: that is all for
    /// now, whether something was appended or not.
    ///
    /// It may be called again after an error, or after it was dropped on its way: nothing is lost by that, and nothing
    /// comes twice.
    ///
    /// # Errors
    /// If the kubelet did not answer, or not with the files.
    pub(crate) async fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, KubeletError> {
        for _ in 0..TRIES {
            match self.step(out).await? {
                Step::Read => return Ok(true),
                Step::AllForNow => return Ok(false),
                Step::Again => {}
            }
        }
        Err(KubeletError::Unsteady(self.whose()))
    }

    /// Whether files were removed that may not have been read to their end, so that something may be missing in what
    /// was read. It is so between two lines: one that was cut short is ended.
    #[must_use]
    pub(crate) fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Whether there were rotated files already when reading began: what was before the oldest may be gone.
    #[must_use]
    pub(crate) fn began_rotated(&self) -> bool {
        self.began_rotated == Some(true)
    }

    async fn step(&mut self, out: &mut Vec<u8>) -> Result<Step, KubeletError> {
        let Some((file, reached)) = &mut self.at else { return self.pass_on(out).await };
        match file.read_on(&self.kubelets, &self.place, reached).await? {
            More::Bytes(bytes) if bytes.is_empty() && matches!(file, File::Growing) => Ok(Step::AllForNow),
            More::Bytes(bytes) if bytes.is_empty() => self.pass_on(out).await,
            More::Bytes(bytes) => {
                reached.push(&bytes);
                out.extend_from_slice(&bytes);
                let is_all = matches!(file, File::Growing) && bytes.len() < CHUNK;
                Ok(if is_all { Step::AllForNow } else { Step::Read })
            }
            More::Another | More::Gone => self.search(out).await,
            More::Damaged => Ok(self.give_up(out)),
        }
    }

    /// Goes on to the next file, for this one is at its end.
    ///
    /// Between the requests each of the files may be rotated. So they come in this order: what was read of the growing
    /// file before the list was made is the begin of the one after those in the list. And the runtime writes to a
    /// renamed file until it has opened the next one: only when something stands in that, this one is at its end for
    /// good.
    async fn pass_on(&mut self, out: &mut Vec<u8>) -> Result<Step, KubeletError> {
        let head = self.kubelets.part(&self.place, &self.place.growing(), 0, CHUNK).await?;
        let folder = self.kubelets.folder(&self.place).await?;
        self.began_rotated.get_or_insert(!folder.rotated.is_empty());
        if let Some((file @ File::Rotated(_), reached)) = &mut self.at {
            match file.read_on(&self.kubelets, &self.place, reached).await? {
                More::Bytes(bytes) if bytes.is_empty() => {}
                More::Bytes(bytes) => {
                    reached.push(&bytes);
                    out.extend_from_slice(&bytes);
                    return Ok(Step::Read);
                }
                _ => return self.search(out).await,
            }
        }
        let present = self.at.as_ref().and_then(|(file, _)| file.rotated_name());
        if present.is_some_and(|name| folder.find(name).is_none()) {
            // The kubelet names a file as before if the runtime could not begin a new one. Else it was removed, and
            // maybe some that came after it.
            return self.search(out).await;
        }
        if let Some(next) = self.unread(&folder).into_iter().find(|it| Some(it.name.as_str()) != present) {
            let next = (File::rotated(next), Reached::default());
            self.done_with_present(&folder, out);
            self.at = Some(next);
            return Ok(Step::Again);
        }
        match head {
            Some(head) if !head.is_empty() => {
                self.done_with_present(&folder, out);
                let mut reached = Reached::default();
                reached.push(&head);
                out.extend_from_slice(&head);
                self.at = Some((File::Growing, reached));
                Ok(if head.len() < CHUNK { Step::AllForNow } else { Step::Read })
            }
            // It came just now.
            None if folder.growing => Ok(Step::Again),
            None if self.at.is_none() => Err(KubeletError::NotThere(self.whose())),
            _ => Ok(Step::AllForNow),
        }
    }

    /// Looks for the file that was read, under the names that it may have by now.
    async fn search(&mut self, out: &mut Vec<u8>) -> Result<Step, KubeletError> {
        let folder = self.kubelets.folder(&self.place).await?;
        let Some((present, reached)) = &self.at else { return Ok(Step::Again) };
        let renamed: Vec<File> = if reached.is_start() {
            // Nothing tells it from others but its name.
            let found = present.rotated_name().and_then(|name| folder.find(name));
            // The newest is not removed before there is a newer one: it is named as before, see `pass_on`.
            let is_newest = |name: &String| folder.rotated.iter().all(|it| it.name < *name);
            if found.is_none() && matches!(present, File::Rotated(name) if is_newest(name)) {
                self.at = None;
                return Ok(Step::Again);
            }
            found.map(File::rotated).into_iter().collect()
        } else {
            let rotated = self.unread(&folder).into_iter().map(File::rotated);
            folder.growing.then_some(File::Growing).into_iter().chain(rotated).rev().collect()
        };
        if renamed.is_empty() && folder == Folder::default() {
            return Err(KubeletError::NotThere(self.whose()));
        }
        let (mut moved_on, mut damaged) = (false, vec![]);
        for mut file in renamed {
            match file.go_to(&self.kubelets, &self.place, reached).await? {
                More::Bytes(_) => {
                    if let Some((present, _)) = &mut self.at {
                        *present = file;
                    }
                    return Ok(Step::Again);
                }
                More::Another => {}
                More::Damaged => damaged.extend(file.rotated_name().map(str::to_owned)),
                More::Gone => moved_on = true,
            }
        }
        // What was renamed since the list was made may be the one.
        if moved_on || self.kubelets.folder(&self.place).await? != folder {
            return Ok(Step::Again);
        }
        // It may be one of these: what can be read of it would come twice.
        self.done.extend(damaged);
        Ok(self.give_up(out))
    }

    /// What is left of the present file can't be read.
    fn give_up(&mut self, out: &mut Vec<u8>) -> Step {
        self.has_gap = true;
        self.leave_present(out);
        Step::Again
    }

    fn done_with_present(&mut self, folder: &Folder, out: &mut Vec<u8>) {
        self.done.retain(|name| folder.find(name).is_some());
        self.leave_present(out);
    }

    fn leave_present(&mut self, out: &mut Vec<u8>) {
        let Some((file, reached)) = self.at.take() else { return };
        // What comes next is not the rest of that line. (A runtime ends each that it has begun; on a full disk it can't.)
        if reached.is_within_line() {
            out.push(b'\n');
        }
        self.done.extend(file.rotated_name().map(str::to_owned));
    }

    /// Rotated files that have not been read, the oldest first; the present one may be among them.
    fn unread<'a>(&self, folder: &'a Folder) -> Vec<&'a Rotated> {
        folder.rotated.iter().filter(|it| !self.done.contains(&it.name)).collect()
    }

    fn whose(&self) -> Box<LogPlace> {
        Box::new(self.place.clone())
    }
}

impl File {
    fn rotated(Rotated { name, packed }: &Rotated) -> Self {
        if *packed {
            Self::Packed(name.clone(), Box::new(Unpacker::new()))
        } else {
            Self::Rotated(name.clone())
        }
    }

    fn rotated_name(&self) -> Option<&str> {
        match self {
            Self::Growing => None,
            Self::Rotated(name) | Self::Packed(name, _) => Some(name),
        }
    }

    /// What stands behind `reached`.
    async fn read_on(
        &mut self,
        kubelets: &Kubelets,
        place: &LogPlace,
        reached: &Reached,
    ) -> Result<More, KubeletError> {
        let name = match self {
            Self::Packed(name, unpacker) => return unpack_on(kubelets, place, name, unpacker).await,
            Self::Rotated(name) => name.clone(),
            Self::Growing => place.growing(),
        };
        let (from, known) = (reached.known_from(), reached.known());
        let part = kubelets.part(place, &name, from, known.len() + CHUNK).await?;
        Ok(part.map_or(More::Gone, |part| {
            part.strip_prefix(known).map_or(More::Another, |rest| More::Bytes(rest.to_vec()))
        }))
    }

    /// Sets it to `reached`, if it is the file in which that is.
    async fn go_to(
        &mut self,
        kubelets: &Kubelets,
        place: &LogPlace,
        reached: &Reached,
    ) -> Result<More, KubeletError> {
        let Self::Packed(name, unpacker) = self else { return self.read_on(kubelets, place, reached).await };
        let (mut skip, mut known) = (reached.known_from(), reached.known());
        while skip > 0 || !known.is_empty() {
            let wanted = usize::try_from(skip).unwrap_or(usize::MAX).saturating_add(known.len());
            match unpack_on(kubelets, place, name, unpacker).await? {
                More::Bytes(bytes) if bytes.is_empty() => return Ok(More::Another),
                More::Bytes(bytes) => {
                    let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
                    skip -= passed as u64;
                    let end = bytes.len().min(wanted);
                    let Some(rest) = known.strip_prefix(&bytes[passed..end]) else {
                        return Ok(More::Another);
                    };
                    known = rest;
                    unpacker.put_back(&bytes[end..]);
                }
                other => return Ok(other),
            }
        }
        Ok(More::Bytes(vec![]))
    }
}

/// What comes next in a compressed file.
async fn unpack_on(
    kubelets: &Kubelets,
    place: &LogPlace,
    name: &str,
    unpacker: &mut Unpacker,
) -> Result<More, KubeletError> {
    loop {
        if let Some(from) = unpacker.wants() {
            let Some(packed) = kubelets.part(place, &format!("{name}.gz"), from, CHUNK).await? else {
                return Ok(More::Gone);
            };
            let is_last = packed.len() < CHUNK;
            unpacker.feed(packed, is_last);
        }
        match unpacker.unpack() {
            Err(_) => return Ok(More::Damaged),
            Ok(bytes) if bytes.is_empty() && !unpacker.is_finished() => {}
            Ok(bytes) => return Ok(More::Bytes(bytes)),
        }
    }
}

#[cfg(test)]
mod tests;
