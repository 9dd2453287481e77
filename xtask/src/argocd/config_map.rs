//! The scripts as they stand in Argo CD's ConfigMap.

/// As Argo CD names the kind there.
const KIND: &str = "fissile.cloudfoundry.org_ExtendedJob";

/// The ConfigMap with these scripts, as YAML to be merged into the one that is there.
pub(super) fn of(health: &str, discovery: &str, run: &str) -> String {
    let (health, discovery, run) = (indented(health, 4), indented(discovery, 6), indented(run, 10));
    format!(
        "# Generated from health.lua and actions/ beside this by `cargo xtask gen`: edit there, not here.\n\
         #\n\
         # Two keys for Argo CD's own ConfigMap, to be merged into what is there:\n\
         #\n\
         #   kubectl patch configmap argocd-cm -n argocd --patch-file argocd-cm.yaml\n\
         apiVersion: v1\n\
         kind: ConfigMap\n\
         metadata:\n  \
           name: argocd-cm\n  \
           namespace: argocd\n\
         data:\n  \
           resource.customizations.health.{KIND}: |\n\
         {health}  \
           resource.customizations.actions.{KIND}: |\n    \
             discovery.lua: |\n\
         {discovery}    \
             definitions:\n      \
               - name: run\n        \
                 action.lua: |\n\
         {run}"
    )
}

/// The lines of a text, each behind so many spaces, but for empty ones.
fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:by$}{line}\n", "") };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_scripts_come_out_of_the_config_map_as_they_went_in() {
        let (health, discovery, run) = ("a = {}\n\nif a then\n  b()\nend\n", "return 1\n", "x\n\n  y\n");
        let parsed: Value = serde_saphyr::from_str(&of(health, discovery, run)).expect("it is YAML");
        let key = |what: &str| format!("resource.customizations.{what}.fissile.cloudfoundry.org_ExtendedJob");
        assert_eq!(parsed["data"][key("health")], health);
        // A text that is YAML again.
        let actions = parsed["data"][key("actions")].as_str().expect("it is a text");
        let actions: Value = serde_saphyr::from_str(actions).expect("it is YAML");
        assert_eq!(actions["discovery.lua"], discovery);
        assert_eq!(
            (&actions["definitions"][0]["name"], &actions["definitions"][0]["action.lua"]),
            (&"run".into(), &run.into())
        );
    }
}
