{{- /*
The URL that the server publishes. It knows that of a Service named penstock-server by itself,
and signs a certificate for the host of any other.
*/}}
{{- define "penstock.server.url" -}}
{{- if .Values.server.url -}}
{{- .Values.server.url -}}
{{- else if .Values.server.ingress.enabled -}}
{{- printf "https://%s%s" .Values.server.ingress.host (trimSuffix "/" .Values.server.ingress.path) -}}
{{- else if ne (include "penstock.fullname" .) "penstock" -}}
{{- printf "https://%s-server.%s.svc" (include "penstock.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "penstock.server.volumeMounts" -}}
{{- if .Values.server.tlsSecret }}
- name: tls
  mountPath: /tls
  readOnly: true
{{- end }}
{{- include "penstock.volumeMounts" . }}
{{- end -}}

{{- define "penstock.server.volumes" -}}
{{- with .Values.server.tlsSecret }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- include "penstock.volumes" . }}
{{- end -}}
