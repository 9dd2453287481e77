//! Becomes the command of a container, with a named pipe as its standard error.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// For so long the drain is waited for: what is in a pipe goes when nobody has it open any more, and a short command may
/// be over before the drain has begun.
const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(2);

/// Does not return unless the command can't be run. With a `token`, what it writes begins behind a mark of its own.
pub(crate) fn run(
    pipe: &Path,
    token: Option<&OsString>,
    command: &OsStr,
    arguments: &[OsString],
) -> io::Error {
    match standard_error(pipe) {
        Ok(mut file) => {
            if let Some(Err(error)) = token.map(|token| mark(&mut file, pipe, token)) {
                return io::Error::new(error.kind(), format!("can't mark the begin of a run: {error}"));
            }
            // If it can't be run, standard error is the pipe all the same: it is told where its own words would stand.
            let error = Command::new(command).args(arguments).stderr(file).exec();
            io::Error::new(error.kind(), format!("can't run {}: {error}", command.display()))
        }
        Err(error) => io::Error::new(error.kind(), format!("can't open {}: {error}", pipe.display())),
    }
}

/// Writes, with line breaks of its own, the token and how many runs there were before. They are counted beside the pipe,
/// one byte for each.
fn mark(file: &mut File, pipe: &Path, token: &OsStr) -> io::Result<()> {
    let mut count = pipe.as_os_str().to_owned();
    count.push(".runs");
    let mut count = File::options().append(true).create(true).open(count)?;
    let before = count.metadata()?.len();
    count.write_all(b".")?;
    let mark = [b"\n", token.as_encoded_bytes(), format!(" {before}\n").as_bytes()].concat();
    file.write_all(&mark)
}

/// The pipe, opened for reading too: so the command is never killed by a drain that has died, but waits for the next one
/// when the pipe is full.
fn standard_error(pipe: &Path) -> io::Result<File> {
    let deadline = Instant::now() + PATIENCE;
    // Without a reader it can't be opened for writing alone.
    while Instant::now() < deadline {
        match open(pipe, OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(_) => break,
            Err(Errno::ENXIO) => sleep(INTERVAL),
            Err(error) => return Err(error.into()),
        }
    }
    File::options().read(true).write(true).open(pipe)
}
