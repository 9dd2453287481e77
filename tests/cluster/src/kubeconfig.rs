//! Kubeconfigs: for the user, for processes inside the network, and one for each component.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::layout::Layout;
use crate::network::API_ADDRESS;

/// Files of the components, each named as its certificate.
const COMPONENTS: &[&str] = &["kube-controller-manager", "kube-scheduler", "kube-proxy", "node"];

/// Writes all of them; the forwarder listens on `port`.
pub(crate) fn write(layout: &Layout, port: u16) -> Result<()> {
    let pki = layout.path("pki");
    let save = |path: &Path, server: &str, certificate: &str| {
        fs::write(path, text(&layout.group(), server, &pki, certificate))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    for component in COMPONENTS {
        save(&layout.path(&format!("config/{component}.kubeconfig")), API_ADDRESS, component)?;
    }
    save(&layout.inside_kubeconfig(), API_ADDRESS, "admin")?;
    save(&layout.kubeconfig(), &format!("https://127.0.0.1:{port}"), "admin")
}

/// Certificates are named by path rather than put inside: nothing here needs base64, and a kubeconfig that
/// outlives its cluster says what is gone.
fn text(name: &str, server: &str, pki: &Path, certificate: &str) -> String {
    let pki = pki.display();
    format!(
        "apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority: {pki}/ca.crt
users:
- name: {name}
  user:
    client-certificate: {pki}/{certificate}.crt
    client-key: {pki}/{certificate}.key
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_is_the_only_one_and_named_after_the_cluster() {
        let text = text("extendedjob-dev", "https://127.0.0.1:1234", Path::new("/pki"), "admin");
        assert!(text.contains("current-context: extendedjob-dev\n"));
        assert!(text.contains("server: https://127.0.0.1:1234\n"));
        assert!(text.contains("client-key: /pki/admin.key\n"));
        assert_eq!(text.matches("- name: extendedjob-dev\n").count(), 3);
    }
}
