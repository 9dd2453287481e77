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
{{- with .Values.podDisruptionBudget -}}
{{- if and .enabled (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") -}}
{{- fail "podDisruptionBudget can hold minAvailable or maxUnavailable, not both: set one of them to \"\"" -}}
{{- end -}}
{{- if and .enabled (eq (toString .minAvailable) "") (eq (toString .maxUnavailable) "") -}}
{{- fail "podDisruptionBudget.enabled needs minAvailable or maxUnavailable" -}}
{{- end -}}
{{- end -}}
{{- end }}
