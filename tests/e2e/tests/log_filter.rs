//! What the operator logs can be changed while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result};
use e2e::names::OPERATOR_NAMESPACE;
use e2e::{Kubectl, Operator, extended_job, scenario};

/// A way to the loopback address of a pod, as long as this lives.
struct PortForward {
    kubectl: Child,
    /// On this machine.
    address: String,
    _words: BufReader<ChildStdout>,
}

impl PortForward {
    fn to_admin_port(pod: &str) -> Result<Self> {
        let mut kubectl =
            Kubectl::in_namespace(OPERATOR_NAMESPACE).command(&["port-forward", pod, ":8081"])?;
        let mut kubectl = kubectl.stdout(Stdio::piped()).spawn().context("kubectl can't be started")?;
        let mut words = BufReader::new(kubectl.stdout.take().context("kubectl has no stdout")?);
        let mut line = String::new();
        words.read_line(&mut line)?;
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address = address.with_context(|| format!("kubectl says {line:?}"))?.to_owned();
        Ok(Self { kubectl, address, _words: words })
    }

    /// The status and the body of the answer.
    fn put(&self, filter: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        let length = filter.len();
        write!(
            stream,
            "PUT /log-filter HTTP/1.1\r\nHost: operator\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{filter}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("not an answer")?;
        Ok((head.split(' ').nth(1).unwrap_or_default().to_owned(), body.to_owned()))
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.kill().and_then(|()| self.kubectl.wait()) {
            eprintln!("kubectl port-forward goes on: {error}");
        }
    }
}

#[test]
fn what_is_logged_can_be_changed_while_the_operator_runs() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let leader = operator.leader()?;
        let forward = PortForward::to_admin_port(&leader)?;
        // Of what comes after its start, something may come when the filter is as before.
        let starts = |name: &str| {
            let named = format!(r#""extendedjob":"{name}","namespace":"{}""#, ns.name);
            let log = operator.log()?;
            anyhow::Ok(log.lines().any(|line| line.contains("run started") && line.contains(&named)))
        };

        assert_eq!(forward.put("off")?.0, "200");
        let unheard = ns.first_run(extended_job("unheard").once());
        // Whatever came of it, other tests read the log.
        assert_eq!(forward.put("info")?.0, "200");
        unheard?;
        ns.first_run(extended_job("heard").once())?;
        e2e::poll("the start of the second one in the log", || {
            Ok(starts("heard")?.then_some(()).ok_or_else(String::new))
        })?;
        assert!(!starts("unheard")?);

        let (status, reason) = forward.put("extendedjob_actors=loud")?;
        assert_eq!(status, "400", "{reason}");
        assert!(!reason.is_empty());
        Ok(())
    })
}
