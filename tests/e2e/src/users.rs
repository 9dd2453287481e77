//! Users who are not the administrator.

use anyhow::Result;

use crate::Namespace;
use crate::wait::poll;

impl Namespace {
    /// Lets the user do this here, and waits until the API server knows it.
    ///
    /// The resource is written as for `kubectl auth can-i`: `jobs.batch`, or `secrets/keys` for one object.
    pub fn allow(&self, user: &str, verbs: &[&str], resource: &str) -> Result<()> {
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        let role = format!("{user}-{}-{}", verbs.join("-"), resource.replace('/', "-"));
        let mut create_role = vec!["create", "role", &role];
        let flags = [
            format!("--verb={}", verbs.join(",")),
            format!("--resource={kind}"),
            format!("--resource-name={name}"),
        ];
        let flags = if name.is_empty() { &flags[..2] } else { &flags[..] };
        create_role.extend(flags.iter().map(String::as_str));
        self.kubectl.run(&create_role)?;
        let (to_role, to_user) = (format!("--role={role}"), format!("--user={user}"));
        self.kubectl.run(&["create", "rolebinding", &role, &to_role, &to_user])?;
        poll(&format!("{user} to be allowed {role}"), || {
            // kubectl answers a plain "no" with a failure.
            let answer = self.kubectl.acting_as(user).run(&["auth", "can-i", verbs[0], resource]);
            Ok(answer.map(drop).map_err(|no| no.to_string()))
        })
    }
}
