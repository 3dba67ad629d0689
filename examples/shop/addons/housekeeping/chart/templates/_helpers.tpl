{{/* The labels of every object. */}}
{{- define "housekeeping.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: platform
{{- end }}

{{/* The Pod of one job: a dict of the root and of the job. */}}
{{- define "housekeeping.pod" -}}
{{- $ := .root -}}
serviceAccountName: {{ $.Release.Name }}
restartPolicy: Never
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  seccompProfile:
    type: RuntimeDefault
containers:
- name: job
  image: {{ $.Values.image.repository }}:{{ default $.Chart.AppVersion $.Values.image.tag }}
  args:
  {{- range .job.args }}
  - {{ . | quote }}
  {{- end }}
  envFrom:
  - configMapRef:
      name: {{ $.Release.Name }}-config
  resources:
    {{- toYaml $.Values.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
{{- end }}
