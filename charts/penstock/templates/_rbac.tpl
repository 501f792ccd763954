{{- /*
An object of files/, which `make manifests` copies from config/: its name begins with the
release's full name instead of penstock, and what has a namespace goes to the release's.
Call it with the root, the object and its labels.
*/}}
{{- define "penstock.object" -}}
{{- $fullname := include "penstock.fullname" .root -}}
{{- $metadata := .object.metadata -}}
{{- $_ := set $metadata "name" (printf "%s%s" $fullname (trimPrefix "penstock" $metadata.name)) -}}
{{- if has .object.kind (list "Role" "RoleBinding") -}}
{{- $_ := set $metadata "namespace" .root.Release.Namespace -}}
{{- end -}}
{{- $_ := set $metadata "labels" (merge ($metadata.labels | default dict) (.labels | fromYaml)) -}}
{{ toYaml .object }}
{{- end -}}

{{- /*
Binds a Role or ClusterRole to a ServiceAccount of the release, in a namespace or, without
one, in the whole cluster. Call it with the root, kind, name, namespace, account, labels.
*/}}
{{- define "penstock.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .bindingName | default .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- .labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{- /*
The right to read Secrets in some namespaces: the ClusterRole of files/, bound there, or a
Role in each where the release has Roles alone. Call it with the root, the file, the
namespaces, the account and the labels.
*/}}
{{- define "penstock.readSecrets" -}}
{{- $role := .root.Files.Get .file | fromYaml }}
{{- $name := printf "%s%s" (include "penstock.fullname" .root) (trimPrefix "penstock" $role.metadata.name) }}
{{- $kind := ternary "Role" "ClusterRole" (gt (len .root.Values.watchNamespaces) 0) }}
{{- if eq $kind "ClusterRole" }}
{{ include "penstock.object" (dict "root" .root "object" $role "labels" .labels) }}
{{- end }}
{{- range .namespaces }}
{{- if eq $kind "Role" }}
---
{{ include "penstock.role" (dict "name" $name "namespace" . "rules" $role.rules "labels" $.labels) }}
{{- end }}
---
{{ include "penstock.binding" (dict "root" $.root "kind" $kind "name" $name "namespace" . "account" $.account "labels" $.labels) }}
{{- end }}
{{- end -}}

{{- define "penstock.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- .labels | nindent 4 }}
rules:
{{ toYaml .rules }}
{{- end -}}

{{- /*
The rules of a ClusterRole that a Role can grant, as a JSON object with the key rules:
without kinds that have no namespace.
*/}}
{{- define "penstock.namespacedRules" -}}
{{- $rules := list }}
{{- range .rules }}
{{- $resources := without .resources "clusterworkflowtemplates" "targetclusters" "targetclusters/status" "namespaces" }}
{{- if $resources }}
{{- $rule := dict "apiGroups" .apiGroups "resources" $resources "verbs" .verbs }}
{{- if .resourceNames }}
{{- $rule = set $rule "resourceNames" .resourceNames }}
{{- end }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- dict "rules" $rules | toJson }}
{{- end -}}
