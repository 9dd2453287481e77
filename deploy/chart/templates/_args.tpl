{{/* The operator's flags, as values say; what is left out there is left to the operator. */}}
{{- define "extendedjob.args" -}}
- --listen=0.0.0.0:8080
- --log-format={{ .Values.log.format }}
- --spool-folder=/spool
- --spool-limit-mib={{ .Values.spool.sizeMiB | int64 }}
{{- with include "extendedjob.namespaces" . | fromJsonArray }}
- --namespaces={{ join "," . }}
{{- end }}
{{- with .Values.log.filter }}
- {{ printf "--log-filter=%s" . | quote }}
{{- end }}
{{- if ne .Values.streams.mode "auto" }}
- --streams={{ .Values.streams.mode }}
{{- end }}
{{- if .Values.kubeletLogs.enabled }}
- --kubelet-port={{ .Values.kubeletLogs.port | int64 }}
{{- if .Values.kubeletLogs.skipTlsVerify }}
- --kubelet-skip-tls-verify
{{- end }}
{{- end }}
{{- range $name, $number := .Values.brakes }}
{{- if $number }}
- --{{ kebabcase $name }}={{ int64 $number }}
{{- end }}
{{- end }}
{{- with .Values.output.patienceMinutes }}
- --output-patience={{ int64 . }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Its environment: what is put into the pods of Jobs, and what users add. */}}
{{- define "extendedjob.env" -}}
# The same image unless told otherwise, for the small program that tells standard error apart in the pods of Jobs.
# Whoever changes the one must change the other.
- name: EXTENDEDJOB_WRAPPER_IMAGE
  value: {{ .Values.streams.wrapperImage | default (include "extendedjob.image" .) }}
{{- with .Values.streams.wrapperPullSecrets }}
- name: EXTENDEDJOB_WRAPPER_PULL_SECRETS
  value: {{ join "," . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
