{{/* Values that contradict each other, told in words that help; what one value alone may be stands in values.schema.json. */}}
{{- define "extendedjob.checks" -}}
{{- $mode := .Values.watch.mode -}}
{{- if and .Values.kubeletLogs.enabled (ne $mode "cluster") -}}
{{- fail (printf "kubeletLogs.enabled needs watch.mode: cluster, but that is %q: the right to read logs from kubelets opens the logs of all namespaces and can't be given for some. Leave it false: streams are then told apart within the pods" $mode) -}}
{{- end -}}
{{- if and (eq $mode "namespaces") (not .Values.watch.namespaces) -}}
{{- fail "watch.mode: namespaces needs at least one name in watch.namespaces" -}}
{{- end -}}
{{- if and (ne $mode "namespaces") .Values.watch.namespaces -}}
{{- fail (printf "watch.namespaces is heeded with watch.mode: namespaces alone, but that is %q: set the mode, or leave the list empty" $mode) -}}
{{- end -}}
{{- if and (ne $mode "namespace") .Values.watch.namespace -}}
{{- fail (printf "watch.namespace is heeded with watch.mode: namespace alone, but that is %q: set the mode, or leave the name empty" $mode) -}}
{{- end -}}
{{- if and (eq .Values.streams.mode "kubelet") (not .Values.kubeletLogs.enabled) -}}
{{- fail "streams.mode: kubelet needs kubeletLogs.enabled: without the right to read logs from kubelets no Job with output could start" -}}
{{- end -}}
{{- $ours := "the operator's rights and the admission policy extendedjob-term know the Lease and the namespaces of this chart alone" -}}
{{- range .Values.extraArgs -}}
{{- if regexMatch "^--(lease-name|lease-namespace|namespaces)(=|$)" (toString .) -}}
{{- fail (printf "extraArgs can't hold %s: %s" . $ours) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "EXTENDEDJOB_LEASE_NAME" "EXTENDEDJOB_LEASE_NAMESPACE" "EXTENDEDJOB_NAMESPACES") -}}
{{- fail (printf "extraEnv can't hold %s: %s" .name $ours) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.metrics.serviceMonitor.enabled (not .Values.networkPolicy.ingressFrom) -}}
{{- fail "metrics.serviceMonitor.enabled with networkPolicy.enabled needs networkPolicy.ingressFrom: without it nobody, Prometheus neither, may ask for metrics" -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if and .enabled (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") -}}
{{- fail "podDisruptionBudget can hold minAvailable or maxUnavailable, not both: set one of them to \"\"" -}}
{{- end -}}
{{- if and .enabled (eq (toString .minAvailable) "") (eq (toString .maxUnavailable) "") -}}
{{- fail "podDisruptionBudget.enabled needs minAvailable or maxUnavailable" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Two operators must never look at the same namespace. Where both have rights in one namespace, Helm refuses the second release
because of their names; whether there is one for all namespaces beside one for some is looked up, which `helm template` can't.
*/}}
{{- define "extendedjob.noOtherOperator" -}}
{{- $root := . -}}
{{- $rights := list -}}
{{- if eq .Values.watch.mode "cluster" -}}
{{- $bindings := lookup "rbac.authorization.k8s.io/v1" "RoleBinding" "" "" -}}
{{- range $bindings.items -}}
{{- if eq .metadata.name "extendedjob-operator:watched" -}}{{- $rights = append $rights . -}}{{- end -}}
{{- end -}}
{{- else if .Values.termPolicy.install -}}
{{- /* Else whoever installs may have no right to look at what is the whole cluster's. */ -}}
{{- with lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "extendedjob-operator" -}}
{{- $rights = append $rights . -}}
{{- end -}}
{{- end -}}
{{- /* The operators before and after a change between all namespaces and some know nothing of each other's Leases. */ -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "extendedjob.fullname" .) -}}
{{- $some := false -}}
{{- range (first .spec.template.spec.containers).args -}}
{{- if hasPrefix "--namespaces=" . -}}{{- $some = true -}}{{- end -}}
{{- end -}}
{{- if and (gt (int .spec.replicas) 0) (ne $some (ne $root.Values.watch.mode "cluster")) -}}
{{- fail (printf "between watch.mode: cluster and the other modes no operator may run: kubectl scale -n %s deployment/%s --replicas=0, and wait until its pods are gone" .metadata.namespace .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- range $rights -}}
{{- $of := .metadata.annotations | default dict -}}
{{- if or (ne (get $of "meta.helm.sh/release-name") $root.Release.Name) (ne (get $of "meta.helm.sh/release-namespace") $root.Release.Namespace) -}}
{{- fail (printf "another operator looks at %s already (%s %s): two must never look at the same namespace. Uninstall that one, or leave its namespaces out" (.metadata.namespace | default "all namespaces") .kind .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end }}
