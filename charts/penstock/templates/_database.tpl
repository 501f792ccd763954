{{- /*
The Secret with DATABASE_URL: that of Postgres for trials, that which the chart makes of
database.url, or one that exists. The schema refuses more than one of them.
*/}}
{{- define "penstock.database.secret" -}}
{{- if .Values.postgres.bundled -}}
{{- printf "%s-postgres" (include "penstock.fullname" .) -}}
{{- else if .Values.database.url -}}
{{- printf "%s-database" (include "penstock.fullname" .) -}}
{{- else -}}
{{- .Values.database.existingSecret | default "penstock-database" -}}
{{- end -}}
{{- end -}}

{{- /* Secrets that the chart makes have the key url, whatever database.key is. */}}
{{- define "penstock.database.key" -}}
{{- if or .Values.postgres.bundled .Values.database.url -}}
url
{{- else -}}
{{- .Values.database.key -}}
{{- end -}}
{{- end -}}

{{- /* How controller and server reach the database: entries of env. */}}
{{- define "penstock.database.env" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "penstock.database.secret" . }}
      key: {{ include "penstock.database.key" . }}
{{- if .Values.database.passwordKey }}
- name: DATABASE_PASSWORD_FILE
  value: /var/run/penstock/database/password
{{- end }}
{{- end -}}
