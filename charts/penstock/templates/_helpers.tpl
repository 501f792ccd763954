{{- /*
The prefix of the names of cluster-wide objects, so that two releases do not share them:
the release's name, with the chart's name where the release's does not contain it.
*/}}
{{- define "penstock.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end -}}
