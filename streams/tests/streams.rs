//! The three tasks together, as in a pod.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Read};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::thread;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    const PROGRAM: &str = env!("CARGO_BIN_EXE_extendedjob-streams");

    /// A volume with a pipe in it.
    struct Pod {
        folder: PathBuf,
    }

    impl Pod {
        fn new(name: &str) -> Self {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::remove_dir_all(&folder).ok();
            fs::create_dir_all(&folder).unwrap();
            let prepared = Command::new(PROGRAM).arg("prepare").args([&folder, Path::new("main")]).status();
            assert!(prepared.unwrap().success());
            Self { folder }
        }

        fn pipe(&self) -> PathBuf {
            self.folder.join("main")
        }

        /// The copy that was made.
        fn program(&self) -> Command {
            Command::new(self.folder.join("extendedjob-streams"))
        }

        fn drain(&self, stdout: Stdio) -> Child {
            self.program().arg("drain").arg(self.pipe()).stdout(stdout).spawn().unwrap()
        }

        /// Runs a script to its end; its standard output, and how it ended.
        fn run(&self, script: &str) -> (String, ExitStatus) {
            let run = self.program().arg("run").arg(self.pipe()).args(["sh", "-c", script]).output().unwrap();
            assert_eq!(run.stderr, b"");
            (String::from_utf8(run.stdout).unwrap(), run.status)
        }
    }

    fn signal(child: &Child, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// Ends the drain as the kubelet does, and gives what it has passed on.
    fn drained(mut drain: Child) -> String {
        signal(&drain, Signal::SIGTERM);
        let mut text = String::new();
        drain.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(drain.wait().unwrap().success());
        text
    }

    #[test]
    fn streams_go_apart_and_the_exit_code_stays() {
        let pod = Pod::new("apart");
        let drain = pod.drain(Stdio::piped());
        let (stdout, status) = pod.run("echo out; echo err >&2; printf 'no end' >&2; exit 3");
        assert_eq!((stdout.as_str(), status.code()), ("out\n", Some(3)));
        assert_eq!(drained(drain), "err\nno end");
    }

    #[test]
    fn a_command_that_is_faster_than_the_drain_loses_nothing() {
        let pod = Pod::new("fast");
        let mut run =
            pod.program().arg("run").arg(pod.pipe()).args(["sh", "-c", "echo err >&2"]).spawn().unwrap();
        let drain = pod.drain(Stdio::piped());
        assert!(run.wait().unwrap().success());
        assert_eq!(drained(drain), "err\n");
    }

    #[test]
    fn a_signal_ends_the_command_as_without_us() {
        use std::os::unix::process::ExitStatusExt;
        let pod = Pod::new("signal");
        let drain = pod.drain(Stdio::piped());
        let (_, status) = pod.run("echo err >&2; kill -TERM $$; sleep 10");
        assert_eq!(status.signal(), Some(15));
        assert_eq!(drained(drain), "err\n");
    }

    #[test]
    fn a_drain_that_is_killed_loses_nothing_and_the_command_goes_on() {
        let pod = Pod::new("killed");
        let mut drain = pod.drain(Stdio::piped());
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i >&2; done";
        let mut run = pod.program().arg("run").arg(pod.pipe()).args(["sh", "-c", script]).spawn().unwrap();
        let mut stdout = drain.stdout.take().unwrap();
        let mut first = vec![0; 1000];
        stdout.read_exact(&mut first).unwrap();
        assert!(run.try_wait().unwrap().is_none(), "the command is over already");
        signal(&drain, Signal::SIGKILL);
        drain.wait().unwrap();
        stdout.read_to_end(&mut first).unwrap();
        let mut next = pod.drain(Stdio::piped());
        let mut stdout = next.stdout.take().unwrap();
        // A full pipe would hold up the command.
        let reading = thread::spawn(move || io::read_to_string(stdout.by_ref()).unwrap());
        assert!(run.wait().unwrap().success());
        signal(&next, Signal::SIGTERM);
        assert!(next.wait().unwrap().success());
        let text = String::from_utf8(first).unwrap() + &reading.join().unwrap();
        let whole: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
        assert!(text == whole, "{} of {} bytes", text.len(), whole.len());
    }

    #[test]
    fn a_drain_that_is_read_slowly_passes_on_all_before_it_ends() {
        let pod = Pod::new("slow");
        let mut drain = pod.drain(Stdio::piped());
        // More than one pipe holds, less than two: the command ends, and the drain waits for its reader.
        let (_, status) = pod.run("head -c 100000 /dev/zero >&2");
        assert!(status.success());
        signal(&drain, Signal::SIGTERM);
        thread::sleep(std::time::Duration::from_millis(200));
        assert!(drain.try_wait().unwrap().is_none(), "it has ended with the pipe full");
        let mut bytes = vec![];
        drain.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 100_000);
        assert!(drain.wait().unwrap().success());
    }

    #[test]
    fn the_begin_of_each_run_is_marked_and_counted() {
        let pod = Pod::new("marked");
        let drain = pod.drain(Stdio::piped());
        for exit_code in [1, 0] {
            let script = format!("printf 'no end' >&2; exit {exit_code}");
            let mut run = pod.program();
            run.arg("run-marked").arg("token").arg(pod.pipe()).args(["sh", "-c", &script]);
            assert_eq!(run.status().unwrap().code(), Some(exit_code));
        }
        assert_eq!(drained(drain), "\ntoken 0\nno end\ntoken 1\nno end");
    }

    #[test]
    fn a_command_that_is_not_there_is_told_where_its_words_would_stand() {
        let pod = Pod::new("missing");
        let drain = pod.drain(Stdio::piped());
        let run = pod.program().arg("run").arg(pod.pipe()).arg("no-such-command").output().unwrap();
        assert_eq!(run.status.code(), Some(127));
        let told = drained(drain);
        assert!(told.contains("can't run no-such-command") && told.lines().count() == 1, "{told}");
    }

    #[test]
    fn what_is_wrong_with_the_arguments_is_told() {
        let run = Command::new(PROGRAM).arg("run").output().unwrap();
        assert_eq!(run.status.code(), Some(2));
        assert!(String::from_utf8(run.stderr).unwrap().contains("usage"));
    }
}
