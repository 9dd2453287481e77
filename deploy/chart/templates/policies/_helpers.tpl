{{/*
The name of an admission policy and its binding, from (list PART $). For all namespaces there is one operator, hence one
policy. Operators for some namespaces stand side by side, and neither namespaces nor these names hold dots.
*/}}
{{- define "extendedjob.policyName" -}}
{{- $root := index . 1 -}}
extendedjob-{{ index . 0 -}}
{{- if ne $root.Values.watch.mode "cluster" -}}
.{{ include "extendedjob.fullname" $root | replace "." "-" }}.{{ $root.Release.Namespace }}
{{- end -}}
{{- end }}

{{/*
Where a binding holds. Where this release does not watch, another may: its operator is none that the policy knows, and
its Jobs bear the terms of another Lease.
*/}}
{{- define "extendedjob.policyScope" -}}
{{- if ne .Values.watch.mode "cluster" -}}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- include "extendedjob.namespaces" . | fromJsonArray | toYaml | nindent 10 }}
{{- end -}}
{{- end }}
