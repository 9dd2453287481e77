//! Processes that outlive the command which started them, known again by a file.
//!
//! A number alone does not say that a process is still ours: the kernel gives it to others later. The time
//! of its start, and the boot it belongs to, do.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process, which may have ended since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pid: i32,
    /// In ticks since the boot.
    started: u64,
    boot: String,
}

impl Process {
    /// The process that has this number now, unless it has ended.
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self { pid, started: started(&stat)?, boot: boot.trim().to_owned() })
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, format!("{} {} {}\n", self.pid, self.started, self.boot))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        let pid = fields.next()?.parse().ok()?;
        let started = fields.next()?.parse().ok()?;
        Some(Self { pid, started, boot: fields.next()?.to_owned() })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs, and its number has not gone to another.
    pub(crate) fn is_alive(&self) -> bool {
        Self::find(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, or does nothing when it has ended.
    fn signal(&self, signal: Signal) -> Result<()> {
        // The descriptor holds on to the process, so that what is checked is what gets the signal.
        let descriptor = Pid::from_raw(self.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let Some(Ok(descriptor)) = descriptor else { return Ok(()) };
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(descriptor, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(io::Error::from_raw_os_error(error.raw_os_error()))
                .with_context(|| format!("cannot send a signal to process {}", self.pid)),
        }
    }

    /// Waits for its end, and says whether it came in time.
    fn ends_within(&self, time: Duration) -> bool {
        wait_until(time, Duration::from_millis(20), || !self.is_alive())
    }
}

/// Starts a command in a session of its own, with its output at the end of `log`, and notes it in `pid_file`.
pub(crate) fn start(command: &Command, log: &Path, pid_file: &Path) -> Result<Process> {
    let output = File::options().create(true).append(true).open(log);
    let output = output.with_context(|| format!("cannot open {}", log.display()))?;
    let errors = output.try_clone().with_context(|| format!("cannot open {}", log.display()))?;
    // setsid and nsenter become the program that they are told to run: its number is the child's.
    let mut child = Command::new("setsid")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let process = i32::try_from(child.id()).ok().and_then(Process::find);
    // Collects it at its end, as long as this program runs: nobody else is its parent.
    std::thread::spawn(move || child.wait());
    let process = process.with_context(|| format!("it ended at once; see {}", log.display()))?;
    process.write(pid_file)?;
    Ok(process)
}

/// Asks again until it is so, and says whether it came to be in time.
pub(crate) fn wait_until(time: Duration, pause: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(pause);
    }
}

/// Kills all of them and waits for their end.
pub(crate) fn kill(processes: &[Process]) -> Result<()> {
    for process in processes {
        process.signal(Signal::KILL)?;
    }
    for process in processes {
        ensure!(
            process.ends_within(Duration::from_secs(20)),
            "process {} does not end, though killed",
            process.pid
        );
    }
    Ok(())
}

/// The start time in /proc/PID/stat. None for a process that has ended and waits to be collected.
fn started(stat: &str) -> Option<u64> {
    // The second field is a name, which may hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // Fields 20 and 22 of the manual.
    let (threads, started) = (fields.nth(16)?, fields.nth(1)?.parse().ok()?);
    // The first thread of a killed process may have ended before the others, which hold on to its ports.
    let has_ended = state == "X" || (state == "Z" && threads == "1");
    (!has_ended).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, state: &str, threads: u8) -> String {
        format!("7 ({name}) {state} 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 4242 1000 1")
    }

    fn sleeper() -> (std::process::Child, Process) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id() as i32).unwrap();
        (child, process)
    }

    #[test]
    fn a_running_process_is_known_again_from_its_text() {
        let (mut child, process) = sleeper();
        let text = format!("{} {} {}\n", process.pid, process.started, process.boot);
        assert_eq!(Process::parse(&text), Some(process.clone()));
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_not_ours_and_is_spared() {
        let (mut child, process) = sleeper();
        for other in [
            Process { started: process.started - 1, ..process.clone() },
            Process { boot: "another".to_owned(), ..process.clone() },
        ] {
            assert!(!other.is_alive());
            other.signal(Signal::KILL).unwrap();
        }
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_killed_process_is_dead_before_it_is_collected() {
        let (mut child, process) = sleeper();
        kill(std::slice::from_ref(&process)).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        assert_eq!(started(&stat("a) b (c", "S", 1)), Some(4242));
        assert_eq!(started(""), None);
    }

    #[test]
    fn a_process_ends_with_its_last_thread() {
        assert_eq!(started(&stat("a", "Z", 3)), Some(4242));
        assert_eq!(started(&stat("a", "Z", 1)), None);
    }
}
