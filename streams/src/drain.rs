//! Writes to standard output what comes out of a named pipe, until the kubelet ends the pod.

use std::io::{self, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, open, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::stat::Mode;
use nix::unistd::{read, write};

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Ends at SIGTERM, when the pipe is empty: the kubelet sends that to a sidecar when the containers have ended.
pub(crate) fn drain(pipe: &Path) -> io::Result<()> {
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    ends.thread_block()?;
    let asked = SignalFd::new(&ends)?;
    // For writing too: so it does not end with the command, which may be started again.
    let pipe = open(pipe, OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())?;
    let stdout = stdout();
    loop {
        let mut waited = [&pipe.as_fd(), &asked.as_fd()].map(|it| PollFd::new(*it, PollFlags::POLLIN));
        match poll(&mut waited, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_asked = waited[1].any() == Some(true);
        while pass_on(pipe.as_fd(), stdout.as_fd())? {}
        if is_asked {
            return Ok(());
        }
    }
}

/// Passes on what is there; `false`: nothing is.
fn pass_on(pipe: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<bool> {
    // Within the kernel, so that nothing is taken from the one and not yet given to the other when this process is killed.
    match splice(pipe, None, stdout, None, CHUNK, SpliceFFlags::empty()) {
        Ok(length) => Ok(length > 0),
        // Either nothing is there, or standard output takes no more for now.
        Err(Errno::EAGAIN) if is_readable(pipe)? => wait_for(stdout),
        Err(Errno::EAGAIN) => Ok(false),
        Err(Errno::EINTR) => Ok(true),
        // Standard output is no pipe.
        Err(Errno::EINVAL) => copy(pipe, stdout),
        Err(error) => Err(error.into()),
    }
}

fn is_readable(pipe: BorrowedFd<'_>) -> io::Result<bool> {
    let mut looked = [PollFd::new(pipe, PollFlags::POLLIN)];
    match poll(&mut looked, PollTimeout::ZERO) {
        Ok(_) => Ok(looked[0].any() == Some(true)),
        Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Waits until standard output takes more; then there is more to be passed on.
fn wait_for(stdout: BorrowedFd<'_>) -> io::Result<bool> {
    match poll(&mut [PollFd::new(stdout, PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn copy(pipe: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<bool> {
    let mut chunk = [0; CHUNK];
    let length = match read(pipe, &mut chunk) {
        Ok(length) => length,
        Err(Errno::EAGAIN) => return Ok(false),
        Err(Errno::EINTR) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let mut rest = &chunk[..length];
    while !rest.is_empty() {
        match write(stdout, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(length > 0)
}
