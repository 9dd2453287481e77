//! Users who are not the administrator.

use anyhow::Result;

use crate::Namespace;
use crate::wait::poll;

impl Namespace {
    /// Lets the user do this here, and waits until the API server knows it.
    ///
    /// The resource is written as for `kubectl auth can-i`: `jobs.batch`, or `secrets/keys` for one object.
    pub fn allow(&self, user: &str, verbs: &[&str], resource: &str) -> Result<()> {
        let (kind, name) =
            resource.split_once('/').map_or((resource, None), |(kind, name)| (kind, Some(name)));
        let role = format!("{user}-{}-{}", verbs.join("-"), resource.replace('/', "-"));
        let mut rule = vec![format!("--verb={}", verbs.join(",")), format!("--resource={kind}")];
        rule.extend(name.map(|name| format!("--resource-name={name}")));
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        self.kubectl.run(&[&["create", "role", &role], &rule[..]].concat())?;
        let (to, whom) = (format!("--role={role}"), format!("--user={user}"));
        self.kubectl.run(&["create", "rolebinding", &role, &to, &whom])?;
        poll(&format!("{user} to be allowed {role}"), || {
            // kubectl answers a plain "no" with a failure.
            let answer = self.kubectl.acting_as(user).run(&["auth", "can-i", verbs[0], resource]);
            Ok(answer.map(drop).map_err(|no| no.to_string()))
        })
    }
}
