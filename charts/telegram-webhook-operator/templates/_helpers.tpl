{{- define "telegram-webhook-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* 50 characters: suffixes fit into the 63 of a Service's name */}}
{{- define "telegram-webhook-operator.fullname" -}}
{{- $name := include "telegram-webhook-operator.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "telegram-webhook-operator.serviceAccountName" -}}
{{- $default := ternary (include "telegram-webhook-operator.fullname" .) "default" .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- define "telegram-webhook-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "telegram-webhook-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "telegram-webhook-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "telegram-webhook-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* An image with its digest, or else its tag. Takes {image, version}. */}}
{{- define "telegram-webhook-operator.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .version }}
{{- end }}
{{- end }}

{{- define "telegram-webhook-operator.operatorImage" -}}
{{ include "telegram-webhook-operator.image" (dict "image" .Values.image "version" .Chart.AppVersion) }}
{{- end }}

{{- define "telegram-webhook-operator.sidecarImage" -}}
{{ include "telegram-webhook-operator.image" (dict "image" .Values.sidecar.image "version" .Chart.AppVersion) }}
{{- end }}

{{- /* Namespaces in which nothing is injected or required. */}}
{{- define "telegram-webhook-operator.namespaceSelector" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- toYaml (append .Values.admission.excludedNamespaces .Release.Namespace | uniq | sortAlpha) | nindent 6 }}
{{- end }}
