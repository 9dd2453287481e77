//! Operators as processes of this machine, to be killed, stopped and started at a chosen moment.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::account::CONTEXT;
use crate::clock::Clock;
use crate::lease;
use crate::names::OPERATOR;
use crate::namespace::Namespace;
use crate::patience::{PATIENCE, until};
use crate::pods::OUT_OF_SELECTOR;
use crate::target::Target;
use crate::usage::Process;

/// Between two questions to an operator whether it is ready.
const INTERVAL: Duration = Duration::from_millis(5);

/// The operators of one scenario. They are killed when it is dropped.
pub struct Operators<'a> {
    target: &'a Target,
    /// How the next one is started.
    setup: Setup,
    running: Vec<Operator>,
}

/// How an operator is started.
struct Setup {
    program: PathBuf,
    /// The way to the API server.
    kubeconfig: PathBuf,
    /// Where it keeps logs that it follows; none: in a folder of its own.
    spool: Option<PathBuf>,
    /// What is said to it beyond that.
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    /// A command that becomes the operator, and comes before it.
    through: Vec<String>,
}

/// One process.
struct Operator {
    /// What the Lease calls it.
    name: String,
    child: Child,
    /// Where it says whether it is ready.
    address: SocketAddr,
    log: PathBuf,
}

impl<'a> Operators<'a> {
    /// None yet.
    pub fn none(target: &'a Target) -> Self {
        let setup = Setup {
            program: target.operator.clone(),
            kubeconfig: target.account_kubeconfig(),
            spool: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            through: Vec::new(),
        };
        Self { target, setup, running: Vec::new() }
    }

    /// Those that are started from now on go by another way to the API server.
    pub fn lead_through(&mut self, kubeconfig: PathBuf) {
        self.setup.kubeconfig = kubeconfig;
    }

    /// To those that are started from now on these arguments are given, too.
    pub fn tell(&mut self, arguments: &[&str]) {
        self.setup.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// Those that are started from now on go by this clock.
    pub fn go_by(&mut self, clock: &Clock) {
        self.setup.program.clone_from(&clock.program);
        self.setup.environment.extend(clock.environment());
    }

    /// Those that are started from now on keep logs on a disk of their own at this place, which is full.
    pub fn fill_disk_at(&mut self, folder: &Path) {
        let mount = "mount -t tmpfs -o size=64k none \"$0\" && { head -c 1m /dev/zero > \"$0/full\" 2> /dev/null; exec \"$@\"; }";
        self.setup.spool = Some(folder.to_owned());
        let folder = folder.display().to_string();
        self.setup.through = ["unshare", "--mount", "sh", "-c", mount, &folder].map(str::to_owned).to_vec();
    }

    /// Starts one more, and does not wait until it does anything.
    pub fn start(&mut self) -> Result<()> {
        self.running.push(Operator::start(self.target, &self.setup, None)?);
        Ok(())
    }

    /// The same for one that ends itself, as by a crash, at this place of its program.
    pub fn start_to_crash(&mut self, failpoint: &str) -> Result<()> {
        self.running.push(Operator::start(self.target, &self.setup, Some(failpoint))?);
        Ok(())
    }

    /// Waits until the only one that runs has crashed. The next one need not wait until its Lease ends.
    pub async fn crashed(&mut self, failpoint: &str) -> Result<()> {
        let running = &mut self.running;
        until(&format!("the operator to crash at {failpoint}"), async || {
            let ended = running.iter_mut().all(|operator| !matches!(operator.child.try_wait(), Ok(None)));
            Ok(ended.then_some(()))
        })
        .await?;
        self.kill_all().await
    }

    /// Waits until one of those that run leads, and gives its name.
    pub async fn leader(&mut self) -> Result<String> {
        self.leader_other_than("").await
    }

    /// The same, if it must be another one.
    pub async fn leader_other_than(&mut self, former: &str) -> Result<String> {
        // A closure that is called again can't lend what it holds: so the Lease alone is looked at in it.
        let (client, names) = (&self.target.client, self.names());
        let found = until("one of the operators to lead", async || {
            let leader = lease::leader(client).await?;
            Ok(leader.filter(|leader| leader != former && names.contains(leader)))
        });
        let found = found.await;
        // An operator that ended by itself tells more than the wait for it.
        self.ensure_alive()?;
        found
    }

    /// The process that leads, as soon as one does.
    pub async fn leading_process(&mut self) -> Result<Process> {
        let leader = self.leader().await?;
        let leading = self.position(&leader).and_then(|index| self.running.get(index));
        Ok(Process(leading.with_context(|| format!("no operator {leader} runs"))?.child.id()))
    }

    /// Waits until the one that was started last is ready, to within a few milliseconds.
    pub async fn until_ready(&self) -> Result<()> {
        let address = self.running.last().context("no operator runs")?.address;
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(address).await {
            ensure!(Instant::now() < deadline, "waited {PATIENCE:?} for the operator to be ready");
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// kill -9 of the one that leads. The next one need not wait until its Lease ends.
    pub async fn kill_leader(&mut self) -> Result<()> {
        let leader = self.leader().await?;
        self.running.retain(|operator| operator.name != leader);
        lease::release(&self.target.client, |name| name == leader).await
    }

    /// Asks the one that leads to stop, and waits until it has.
    pub async fn stop_leader(&mut self) -> Result<()> {
        let leader = self.leader().await?;
        self.signal(&leader, Signal::TERM)?;
        let running = &mut self.running;
        until("the leader to stop", async || {
            let of_leader = running.iter_mut().find(|operator| operator.name == leader);
            let ended = of_leader.map(|operator| operator.child.try_wait()).transpose()?.flatten();
            Ok(ended.map(drop))
        })
        .await?;
        self.running.retain(|operator| operator.name != leader);
        Ok(())
    }

    /// kill -9 of all.
    pub async fn kill_all(&mut self) -> Result<()> {
        let names = self.names();
        self.running.clear();
        lease::release(&self.target.client, |name| names.iter().any(|killed| killed == name)).await
    }

    /// Waits until they are done with all that has happened to pods by now: the next one begins there. A pod of this
    /// namespace comes and goes for that, because a version that is no pod's is told of no sooner than in a minute.
    pub async fn until_all_is_done_with(&self, namespace: &Namespace) -> Result<()> {
        let last = namespace.create_pod("last".to_owned(), OUT_OF_SELECTOR).await?;
        let version = namespace.version_of_pods().await?.parse().context("a version that is no number")?;
        namespace.delete_pods(&[last]).await?;
        lease::until_checkpoint(&self.target.client, version).await
    }

    /// Waits until they go by a clock that is so far from this machine's, in seconds.
    pub async fn until_clock_is_off(&self, seconds: i64) -> Result<()> {
        lease::until_written_by_clock(&self.target.client, seconds).await
    }

    /// Keeps one of them from doing anything, as a machine does that stands still.
    pub fn freeze(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::STOP)
    }

    /// Lets it go on, as if no time had passed.
    pub fn thaw(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::CONT)
    }

    /// That none has ended by itself.
    pub fn ensure_alive(&mut self) -> Result<()> {
        for Operator { name, child, log, .. } in &mut self.running {
            let ended = child.try_wait().with_context(|| format!("cannot look at the operator {name}"))?;
            if let Some(status) = ended {
                bail!("the operator {name} has ended by itself ({status}): see {}", log.display());
            }
        }
        Ok(())
    }

    fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let operator = self.position(name).and_then(|index| self.running.get(index));
        let pid = operator.and_then(|operator| Pid::from_raw(i32::try_from(operator.child.id()).ok()?));
        // The number is this process's as long as nobody has collected its end.
        kill_process(pid.with_context(|| format!("no operator {name} runs"))?, signal)
            .map_err(|error| io::Error::from_raw_os_error(error.raw_os_error()))
            .with_context(|| format!("cannot send a signal to the operator {name}"))
    }

    fn names(&self) -> Vec<String> {
        self.running.iter().map(|operator| operator.name.clone()).collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.running.iter().position(|operator| operator.name == name)
    }
}

impl Operator {
    fn start(target: &Target, setup: &Setup, failpoint: Option<&str>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("operator-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let log = target.folder.join(format!("{name}.log"));
        let spool = setup.spool.clone().unwrap_or_else(|| target.folder.join(format!("{name}.spool")));
        // Free a moment ago; whoever takes it first, an operator that does not get it ends at once, and says so.
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no port is free")?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // setpriv becomes the operator, which then dies with this program, however that ends.
        let mut command = Command::new("setpriv");
        if let Some(failpoint) = failpoint {
            command.env("EXTENDEDJOB_FAILPOINT", failpoint);
        }
        let child = command
            .args(["--pdeathsig", "KILL", "--"])
            .args(&setup.through)
            .arg(&setup.program)
            .arg("--kubeconfig")
            .arg(&setup.kubeconfig)
            .args(["--context", CONTEXT, "--lease-namespace", OPERATOR])
            .args(["--listen", &address.to_string(), "--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--spool-folder")
            .arg(spool)
            .args(&setup.arguments)
            .envs(setup.environment.iter().cloned())
            // The first part of its identity in the Lease.
            .env("HOSTNAME", &name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", setup.program.display()))?;
        Ok(Self { name, child, address, log })
    }
}

/// What the kubelet would ask.
async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.map(|_| answer)
    };
    asked.await.is_ok_and(|answer| answer.lines().next().is_some_and(|status| status.contains(" 200 ")))
}

impl Drop for Operator {
    /// kill -9, and the end of it.
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the operator {} could not be killed: {error}", self.name);
        }
    }
}
