//! Makes what the other containers of the pod need, in a volume that they share.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::PROGRAM;

/// Copies this program into `folder`, and makes named pipes there, for whichever users the containers run as. Done again
/// it changes nothing.
pub(crate) fn prepare(folder: &Path, pipes: &[OsString]) -> io::Result<()> {
    let copy = folder.join(PROGRAM);
    fs::copy("/proc/self/exe", &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    for name in pipes {
        let pipe = folder.join(name);
        match mkfifo(&pipe, Mode::from_bits_truncate(0o666)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        // Whatever the umask is.
        fs::set_permissions(&pipe, Permissions::from_mode(0o666))?;
    }
    Ok(())
}
