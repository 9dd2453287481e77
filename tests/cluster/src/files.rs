//! Folders made, copied and removed, with errors that name them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::run;
use crate::process::wait_until;

/// Makes a folder and those it lies in. One that is there is no fault.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Copies a file, or a folder with all in it, and what links point to instead of the links.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").args(["--recursive", "--dereference", "--preserve=mode"]).args([from, to]))
        .map(drop)
}

/// Removes a folder with all in it. One that is not there is no fault.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    let mut result = Ok(());
    wait_until(Duration::from_secs(5), Duration::from_millis(100), || {
        result = fs::remove_dir_all(path);
        // A tool that a killed command ran may still be writing its last files.
        !matches!(&result, Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty)
    });
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_removed_however_often() {
        let folder = std::env::temp_dir().join(format!("files-{}", std::process::id()));
        let inner = folder.join("a/b");
        for _ in 0..2 {
            make_folder(&inner).unwrap();
        }
        for _ in 0..2 {
            remove_folder(&folder).unwrap();
        }
        assert!(!folder.exists());
    }
}
