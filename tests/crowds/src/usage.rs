//! What an operator uses of this machine, as the kernel tells.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// The kernel's unit of time, the same on every architecture that Linux still counts in it.
const TICKS_PER_SECOND: u64 = 100;

/// A process of this machine.
#[derive(Clone, Copy)]
pub struct Process(pub(crate) u32);

impl Process {
    /// Memory that it holds now, in KiB.
    pub fn memory(self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most that it held since [`Self::forget_peak`], in KiB.
    pub fn peak(self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// From now on another peak is looked for.
    pub fn forget_peak(self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").context("cannot reset the peak of memory")
    }

    /// Its open connections, listeners among them.
    pub fn sockets(self) -> Result<usize> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.0)).context("cannot list open files")?;
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
    }

    /// Whether nothing can be written into this folder as it sees it.
    pub fn has_full_disk_at(self, folder: &Path) -> bool {
        let folder = folder.strip_prefix("/").unwrap_or(folder);
        let seen = PathBuf::from(format!("/proc/{}/root", self.0)).join(folder).join("probe");
        fs::write(seen, "x").is_err_and(|error| error.kind() == ErrorKind::StorageFull)
    }

    /// The processor time it has used so far.
    pub fn processor(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).context("cannot read times")?;
        // Behind the name, which may hold anything but ')'.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let used = ticks(11).zip(ticks(12)).context("no times of the process")?;
        Ok(Duration::from_millis((used.0 + used.1) * 1000 / TICKS_PER_SECOND))
    }

    fn status(self, name: &str) -> Result<u64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0)).context("cannot read its status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {name} in the status of the process"))
    }
}

/// KiB in MiB, for people.
pub fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{} MiB", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}
