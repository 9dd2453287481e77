//! One `up` or `down` of a cluster at a time. The kernel frees the lock of a killed program.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files::make_folder;
use crate::progress::Progress;

/// Takes the lock, and says so when that means to wait.
pub(crate) fn take(path: &Path, progress: &Progress) -> Result<File> {
    loop {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.step(format!("waiting for another command, which holds {}", path.display()));
                file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        // The one who held it may have removed the file: then this lock is on a file nobody else finds.
        let held = file.metadata().with_context(|| format!("cannot look at the lock {}", path.display()))?;
        if fs::metadata(path).is_ok_and(|found| found.ino() == held.ino()) {
            return Ok(file);
        }
    }
}
