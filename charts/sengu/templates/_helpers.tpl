{{/* The name of everything: that of the release, with sengu in it. */}}
{{- define "sengu.name" -}}
{{- if contains "sengu" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-sengu" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The labels that never change, which selectors use. */}}
{{- define "sengu.selector" -}}
app.kubernetes.io/name: sengu
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "sengu.labels" -}}
{{ include "sengu.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sengu.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "sengu.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "sengu.name" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* Cluster-wide objects carry the namespace in their name, so that two installations do not meet. */}}
{{- define "sengu.clusterName" -}}
{{ .Release.Namespace }}:{{ include "sengu.name" . }}
{{- end }}

{{/* Whether data lies on a claim: "true" or "". */}}
{{- define "sengu.claimed" -}}
{{- if or .Values.data.persistent .Values.data.existingClaim -}}true{{- end -}}
{{- end }}
