{{- define "leat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "leat.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains (include "leat.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "leat.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "leat.selector" -}}
app.kubernetes.io/name: {{ include "leat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "leat.labels" -}}
{{ include "leat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "leat.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "leat.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "leat.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What Go may use of the memory limit, in bytes: nine tenths, since it counts neither stacks of the kernel nor what the collector is late with. "" without a limit. */}}
{{- define "leat.goMemory" -}}
{{- with get (get .Values.resources "limits" | default dict) "memory" }}
{{- $text := kindIs "string" . | ternary (toString .) (toString (int64 .)) }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $unit := regexFind "[A-Za-z]*$" $text }}
{{- if not (and (regexMatch "^[0-9]+(\\.[0-9]+)?[A-Za-z]*$" $text) (hasKey $units $unit)) }}
{{- fail (printf "resources.limits.memory %s: give it as 3Gi or 3072Mi" $text) }}
{{- end }}
{{- int64 (mulf (trimSuffix $unit $text | float64) (get $units $unit) 0.9) }}
{{- end }}
{{- end }}

{{/* A variable from the existing secret: dict "name" "LEAT_…" "key" "…" "root" $ */}}
{{- define "leat.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secrets.existingSecret }}
      key: {{ .key }}
{{- end }}
