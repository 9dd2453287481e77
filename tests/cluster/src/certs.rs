//! The cluster's certificates, made with openssl: one authority, and a certificate for each identity that
//! Kubernetes' own roles and node authorization expect.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::files::make_folder;
use crate::network::{NODE, NODE_IP, SERVICE_IP};

/// Name of the files, subject, and whether it also serves.
const CERTIFICATES: &[(&str, &str, bool)] = &[
    ("apiserver", "/CN=kube-apiserver", true),
    ("apiserver-to-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client", false),
    ("admin", "/O=system:masters/CN=admin", false),
    ("kube-controller-manager", "/CN=system:kube-controller-manager", false),
    ("kube-scheduler", "/CN=system:kube-scheduler", false),
    ("kube-proxy", "/CN=system:kube-proxy", false),
    ("node", "/O=system:nodes/CN=system:node:node1", true),
];
const DAYS: &str = "3650";

/// Makes all of them in `folder`.
pub(crate) fn make(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    // An empty one, since each system's own adds extensions of its own choice.
    fs::write(folder.join("openssl.cnf"), "[req]\ndistinguished_name = subject\n[subject]\n")
        .context("cannot write openssl.cnf")?;
    request(folder, "ca", "/CN=extendedjob-cluster")
        .args(["-addext", "basicConstraints=critical,CA:TRUE"])
        .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        .run("the certificate authority")?;
    for (name, subject, serves) in CERTIFICATES {
        let mut request = request(folder, name, subject);
        request.args([
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-addext",
            "extendedKeyUsage=clientAuth,serverAuth",
        ]);
        if *serves {
            request.args(["-addext", &format!("subjectAltName={}", alternative_names())]);
        }
        request.run(&format!("the certificate {name}"))?;
    }
    run(Command::new("openssl").args(["genrsa", "-out", "service-accounts.key", "2048"]).current_dir(folder))
        .context("cannot make the key of the service accounts")
        .map(drop)
}

/// All names under which the API server or the kubelet is reached.
fn alternative_names() -> String {
    let domains = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", NODE];
    let addresses = ["127.0.0.1", SERVICE_IP, NODE_IP];
    let domains = domains.map(|domain| format!("DNS:{domain}"));
    let addresses = addresses.map(|address| format!("IP:{address}"));
    [domains.join(","), addresses.join(",")].join(",")
}

struct Request(Command);

fn request(folder: &Path, name: &str, subject: &str) -> Request {
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args(["req", "-x509", "-config", "openssl.cnf", "-days", DAYS, "-subj", subject])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
    Request(command)
}

impl Request {
    fn args<const N: usize>(&mut self, args: [&str; N]) -> &mut Self {
        self.0.args(args);
        self
    }

    fn run(&mut self, what: &str) -> Result<()> {
        run(&mut self.0).with_context(|| format!("cannot make {what}")).map(drop)
    }
}
