{{- /*
The prefix of all names, so that two releases do not share an object: the release's name,
with the chart's name where the release's does not contain it.
*/}}
{{- define "penstock.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 42 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /*
What the Deployment of the controller and its pods are found by. A Deployment's selector
can't be changed, and the kubectl plugin finds the server by the name.
*/}}
{{- define "penstock.selectorLabels" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "penstock.server.selectorLabels" -}}
app.kubernetes.io/name: penstock-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "penstock.postgres.selectorLabels" -}}
app.kubernetes.io/name: penstock-postgres
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels of every object, beside the name and the instance. */}}
{{- define "penstock.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: penstock
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "penstock.labels" -}}
{{ include "penstock.selectorLabels" . }}
{{ include "penstock.commonLabels" . }}
{{- end -}}

{{- define "penstock.server.labels" -}}
{{ include "penstock.server.selectorLabels" . }}
{{ include "penstock.commonLabels" . }}
{{- end -}}

{{- define "penstock.postgres.labels" -}}
{{ include "penstock.postgres.selectorLabels" . }}
{{ include "penstock.commonLabels" . }}
{{- end -}}

{{- define "penstock.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "penstock.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.server.serviceAccountName" -}}
{{- if .Values.server.serviceAccount.create -}}
{{- .Values.server.serviceAccount.name | default (printf "%s-server" (include "penstock.fullname" .)) -}}
{{- else -}}
{{- .Values.server.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}
