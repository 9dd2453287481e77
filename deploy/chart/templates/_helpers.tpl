{{/* What the release's objects are called: its name, with the chart's name in it. */}}
{{- define "extendedjob.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The labels by which its pods are found. They can't be changed on a Deployment that is there. */}}
{{- define "extendedjob.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of all its objects. */}}
{{- define "extendedjob.labels" -}}
{{ include "extendedjob.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
The annotations of what stays when the release is uninstalled: who does that need not want to lose all ExtendedJobs and their
Jobs, and as long as there can be any, it is to be asked whose rights they use, also before an operator is installed again.
*/}}
{{- define "extendedjob.kept" -}}
helm.sh/resource-policy: keep
{{- end }}

{{/* The operator's image. A digest, where there is one, decides what is pulled. */}}
{{- define "extendedjob.image" -}}
{{- with .Values.image -}}
{{- .repository -}}
{{- if or .tag (not .digest) }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The user that the operator is to the API server. */}}
{{- define "extendedjob.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "extendedjob.fullname" . }}
{{- end }}

{{/* The namespaces whose ExtendedJobs are the operator's, as JSON; none stands for all. */}}
{{- define "extendedjob.namespaces" -}}
{{- if eq .Values.watch.mode "namespaces" -}}
{{- .Values.watch.namespaces | toJson -}}
{{- else if eq .Values.watch.mode "namespace" -}}
{{- .Values.watch.namespace | default .Release.Namespace | list | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{/* The Lease of its operator for a namespace, or, of "", for all. With it goes a ServiceAccount, called after it. */}}
{{- define "extendedjob.lease" -}}
extendedjob-operator{{ with . }}.{{ . }}{{ end }}
{{- end }}

{{/* The namespaces that have an operator each, as JSON; "" stands for all of them. */}}
{{- define "extendedjob.operators" -}}
{{- include "extendedjob.namespaces" . | fromJsonArray | default (list "") | toJson -}}
{{- end }}
