{{/*
What the operator may do, each right with its reason. Whether it is given for all namespaces or for some, it is the same.
*/}}

{{/* Where ExtendedJobs are: in every namespace that is watched. */}}
{{- define "extendedjob.rules.watched" -}}
# What users ask for. `patch` sets an errand's `run` back to `manually`; the operator changes no other field.
- apiGroups: [fissile.cloudfoundry.org]
  resources: [extendedjobs]
  verbs: [list, watch, patch]
# What it reports to them.
- apiGroups: [fissile.cloudfoundry.org]
  resources: [extendedjobs/status]
  verbs: [patch]
# Whose Jobs hold back the deletion of their owner: clusters that check who may do that (the admission plugin
# OwnerReferencesPermissionEnforcement) ask for this right, and so does the admission policy about owners.
- apiGroups: [fissile.cloudfoundry.org]
  resources: [extendedjobs/finalizers]
  verbs: [update]
# The transitions that start runs, and how the pods of its own Jobs end.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# The output of those pods.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# The runs. `get` tells a Job of its own from another's where a name is taken; `create` serves the dry run
# of a template too; `patch` notes on a Job that nothing of its output is still to be written, and gives it its
# TTL; `delete` is for those beyond the history limits.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Output targets: read one by name, decide, create it or patch one key. The same for ledgers, a Secret for each
# ExtendedJob with triggers. `list` finds the objects that earlier runs have made, where output is versioned, by
# their label, and `watch` what the pods of Jobs use; the operator asks for metadata alone there, and gets what it needs
# by name.
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get, list, watch, create, patch]
# What `kubectl describe` shows below an ExtendedJob; repeated ones are counted by a patch.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Where the operator itself is: in the release's namespace. */}}
{{- define "extendedjob.rules.home" -}}
# The Lease by which operators agree on who leads: one for each namespace that is watched, or one for all.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames:
    {{- range include "extendedjob.operators" . | fromJsonArray }}
    - {{ include "extendedjob.lease" . }}
    {{- end }}
  verbs: [get, patch]
# The fence between leaders: a ServiceAccount, used by nobody, that says which term is the present one, for the admission policy
# extendedjob-term.
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames:
    {{- range include "extendedjob.operators" . | fromJsonArray }}
    - {{ include "extendedjob.lease" . }}-term
    {{- end }}
  verbs: [get, patch]
# `create` can't be allowed by name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [create]
# The book of pods: what was known of them last, for the next leader. Its pages are found by label, and deleted when no
# ExtendedJob needs them any more.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
{{- end }}
