//! A clock that operators go by in the place of the machine's, and that can be set.
//!
//! Made by [libfaketime](https://github.com/wolfcw/libfaketime), which takes the place of a part of the C library: so for a
//! program only that is linked dynamically. Nothing but the time of day is another one; timers go on as ever.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::target::Target;

/// Where Debian keeps libraries, in a folder per kind of machine.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// See the module.
pub struct Clock {
    /// How far it is off.
    file: PathBuf,
    library: PathBuf,
    pub(crate) program: PathBuf,
}

impl Clock {
    /// One that is right; `program`: the operator, linked dynamically.
    pub fn new(target: &Target, program: &Path) -> Result<Self> {
        let folders = fs::read_dir(LIBRARIES).with_context(|| format!("cannot read {LIBRARIES}"))?;
        let found = folders.flatten().map(|folder| folder.path().join(LIBRARY)).find(|path| path.exists());
        let library = found.with_context(|| format!("no {LIBRARY} in a folder of {LIBRARIES}"))?;
        let clock = Self { file: target.folder.join("clock"), library, program: program.to_owned() };
        clock.put_off(0)?;
        Ok(clock)
    }

    /// Sets it so many seconds ahead of the machine's. The operators notice within a second.
    pub fn put_off(&self, seconds: i64) -> Result<()> {
        fs::write(&self.file, format!("{seconds:+}\n"))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    pub(crate) fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}
