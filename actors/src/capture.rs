//! What is kept of logs that are followed: the newest part of each, in memory while it is small, else in files.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use extendedjob_decide::tail::{Kept, Tail};
use tokio::task::spawn_blocking;
use tracing::warn;

/// So much of each log is held in memory before it goes to a file.
const IN_MEMORY: usize = 16 * 1024;

/// So much of it may stay there when it has ended.
const KEPT_IN_MEMORY: usize = 1024;

/// Where the folder is full, so much of all that have ended may stay in memory.
const MEMORY: u64 = 16 * 1024 * 1024;

/// In such steps a file takes up room.
const BLOCK: u64 = 4096;

/// A folder for the newest parts of logs, and how much of it may be used.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: Arc<PathBuf>,
    /// In bytes.
    room: Arc<AtomicU64>,
    /// In bytes, see [`MEMORY`].
    memory: Arc<AtomicU64>,
    names: Arc<AtomicU64>,
}

impl Spool {
    /// A spool of at most `room` bytes in `folder`.
    pub fn new(folder: &Path, room: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let room = Arc::new(AtomicU64::new(room));
        let memory = Arc::new(AtomicU64::new(MEMORY));
        let spool = Self { folder: Arc::new(folder.to_owned()), room, memory, names: Arc::default() };
        // If nothing can be kept there, it is better told now.
        Segment::new(spool.clone())?;
        Ok(spool)
    }

    /// One that keeps nothing beyond what is held in memory.
    #[cfg(test)]
    pub(crate) fn without_room() -> Self {
        let memory = Arc::new(AtomicU64::new(MEMORY));
        Self { folder: Arc::default(), room: Arc::default(), memory, names: Arc::default() }
    }
}

/// Takes so much out of what is left, if there is as much.
fn take(left: &AtomicU64, bytes: u64) -> io::Result<()> {
    let less = |left: u64| left.checked_sub(bytes);
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    taken.map(drop).map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))
}

/// A file without a name: nobody else can open it, and it goes with this process, however that ends.
#[derive(Debug)]
struct Segment {
    spool: Spool,
    file: File,
    length: usize,
}

impl Segment {
    fn new(spool: Spool) -> io::Result<Self> {
        let number = spool.names.fetch_add(1, Ordering::Relaxed);
        let path = spool.folder.join(format!("{}-{number}.log", std::process::id()));
        let create = || File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = create().or_else(|error| match error.kind() {
            // A process of the same number was killed right here.
            io::ErrorKind::AlreadyExists => fs::remove_file(&path).and_then(|()| create()),
            _ => Err(error),
        })?;
        fs::remove_file(&path)?;
        Ok(Self { spool, file, length: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.room();
        self.length += bytes.len();
        if let Err(error) = take(&self.spool.room, self.room() - before) {
            self.length -= bytes.len();
            return Err(error);
        }
        self.file.write_all(bytes)
    }

    /// How much room it takes up, in bytes.
    fn room(&self) -> u64 {
        (self.length as u64).next_multiple_of(BLOCK)
    }

    /// Gives what stands behind the first `skipped` bytes to `tail`.
    fn read(&self, skipped: usize, tail: &mut Tail) -> io::Result<()> {
        let mut chunk = vec![0; IN_MEMORY];
        let mut place = skipped as u64;
        loop {
            let length = self.file.read_at(&mut chunk, place)?;
            if length == 0 {
                return Ok(());
            }
            tail.push(&chunk[..length]);
            place += length as u64;
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.spool.room.fetch_add(self.room(), Ordering::Relaxed);
    }
}

/// Keeps the newest part of a log while it is followed.
#[derive(Debug)]
pub(crate) struct Recorder {
    spool: Spool,
    keep: usize,
    seen: u64,
    /// What has come since the last write.
    memory: Vec<u8>,
    /// The file that is written, and the one before it; each holds at most what is to be kept, and a bit.
    segments: Vec<Segment>,
    /// Not even that could be kept.
    broken: bool,
    /// How much of what all may keep in memory this one does.
    held: u64,
}

impl Recorder {
    /// Keeps at least the newest `keep` bytes.
    pub(crate) fn new(spool: Spool, keep: usize) -> Self {
        Self { spool, keep, seen: 0, memory: vec![], segments: vec![], broken: false, held: 0 }
    }

    /// Takes the next part of the log.
    pub(crate) async fn push(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        if self.broken {
            return;
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            self.store().await;
        }
    }

    /// Puts into a file what is in memory.
    async fn store(&mut self) {
        let (memory, segments) = (std::mem::take(&mut self.memory), std::mem::take(&mut self.segments));
        let (spool, keep) = (self.spool.clone(), self.keep);
        match spawn_blocking(move || store(spool, segments, keep, memory)).await {
            Ok(Ok((segments, memory))) => (self.segments, self.memory) = (segments, memory),
            Ok(Err(error)) => {
                warn!(%error, "no room to keep a log that is followed; it is read when it ends");
                self.broken = true;
            }
            Err(error) => {
                warn!(%error, "a log that is followed is not kept; it is read when it ends");
                self.broken = true;
            }
        }
    }

    /// The log has ended, or nothing more is known of it. It may be long until it is written: of what is more than a
    /// line or two nothing stays in memory.
    pub(crate) async fn finish(mut self) -> Capture {
        if self.memory.len() > KEPT_IN_MEMORY {
            let length = self.memory.len() as u64;
            if self.spool.room.load(Ordering::Relaxed) > length + BLOCK {
                self.store().await;
            } else if take(&self.spool.memory, length).is_ok() {
                self.held = length;
            } else {
                self.broken = true;
                self.memory.clear();
                self.segments.clear();
            }
        }
        self.memory.shrink_to_fit();
        Capture(Arc::new(self))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.spool.memory.fetch_add(self.held, Ordering::Relaxed);
    }
}

/// Appends `memory` to the newest segment, or to a new one; gives back the segments, and the memory to be used again.
fn store(
    spool: Spool,
    mut segments: Vec<Segment>,
    keep: usize,
    mut memory: Vec<u8>,
) -> io::Result<(Vec<Segment>, Vec<u8>)> {
    if segments.last().is_none_or(|segment| segment.length >= keep) {
        // The one before holds all that is to be kept: older ones are no longer needed.
        let older = segments.len().saturating_sub(1);
        segments.drain(..older);
        segments.push(Segment::new(spool)?);
    }
    if let Some(segment) = segments.last_mut() {
        segment.append(&memory)?;
    }
    memory.clear();
    Ok((segments, memory))
}

/// What was kept of a log.
#[derive(Clone, Debug)]
pub(crate) struct Capture(Arc<Recorder>);

impl Capture {
    /// How much was written in all.
    pub(crate) fn seen(&self) -> u64 {
        self.0.seen
    }

    /// Whether there was room to keep it.
    pub(crate) fn is_kept(&self) -> bool {
        !self.0.broken
    }

    /// The newest `limit` bytes; of what is kept, if that is less.
    pub(crate) async fn tail(&self, limit: usize) -> io::Result<Kept> {
        let capture = Arc::clone(&self.0);
        let reading = spawn_blocking(move || {
            let mut tail = Tail::new(limit);
            let stored: usize = capture.segments.iter().map(|segment| segment.length).sum();
            // Not what the tail would drop again, but for the byte that tells whether a line begins.
            let mut surplus = (stored + capture.memory.len()).saturating_sub(limit + 1);
            for segment in &capture.segments {
                let skipped = surplus.min(segment.length);
                surplus -= skipped;
                segment.read(skipped, &mut tail)?;
            }
            tail.push(&capture.memory);
            Ok(Kept { seen: capture.seen, ..tail.finish() })
        });
        reading.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use actix::System;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("extendedjob-capture-{name}-{}", std::process::id()))
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
    }

    #[test]
    fn the_newest_part_is_kept_whatever_the_length() {
        let folder = folder("newest");
        let spool = Spool::new(&folder, 1 << 20).unwrap();
        System::new().block_on(async {
            for count in [0, 1, 2_000, 40_000] {
                let whole = lines(count);
                let mut recorder = Recorder::new(spool.clone(), 50_000);
                for chunk in whole.chunks(7_000) {
                    recorder.push(chunk).await;
                }
                let capture = recorder.finish().await;
                for limit in [10, 50_000] {
                    let kept = capture.tail(limit).await.unwrap();
                    assert!(whole.ends_with(&kept.bytes) && kept.bytes.len() <= limit);
                    assert!(
                        kept.bytes.len() + 20 >= limit.min(whole.len()),
                        "{} of {limit}",
                        kept.bytes.len()
                    );
                    assert_eq!(kept.seen, whole.len() as u64);
                }
            }
        });
        assert_eq!(spool.room.load(Ordering::Relaxed), 1 << 20, "all room is given back");
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn without_room_nothing_is_kept_and_it_is_said() {
        let folder = folder("room");
        let spool = Spool::new(&folder, 100).unwrap();
        System::new().block_on(async {
            let mut recorder = Recorder::new(spool, 50_000);
            recorder.push(&lines(10_000)).await;
            recorder.push(b"more").await;
            assert!(!recorder.finish().await.is_kept());
        });
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn nobody_else_finds_what_is_kept() {
        let folder = folder("hidden");
        let spool = Spool::new(&folder, 1 << 20).unwrap();
        System::new().block_on(async {
            let mut recorder = Recorder::new(spool, 50_000);
            recorder.push(&lines(10_000)).await;
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
            assert!(recorder.finish().await.is_kept());
        });
        fs::remove_dir(&folder).unwrap();
    }
}
