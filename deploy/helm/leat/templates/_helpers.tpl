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

{{/* The port of the pods by which nodes ask each other: with TLS one of their own. */}}
{{- define "leat.nodePort" -}}
{{- and .Values.shareShards (not (empty .Values.tls.existingSecret)) | ternary "peer" "grpc" }}
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

{{/* Selectors of the pods that make backups: the Services of the nodes must not find them. */}}
{{- define "leat.backupSelector" -}}
app.kubernetes.io/name: {{ include "leat.name" . }}-backup
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* A container that makes or checks backups: dict "name" "…" "args" (list …) "root" $ */}}
{{- define "leat.backupContainer" -}}
{{- $ := .root }}
- name: {{ .name }}
  image: {{ include "leat.image" $ | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args: {{ toJson .args }}
  env:
    {{- include "leat.storeVariables" $ | nindent 4 }}
    {{- with $.Values.extraEnv }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $.Values.envFrom }}
  envFrom: {{- toYaml . | nindent 4 }}
  {{- end }}
  resources: {{- toYaml $.Values.backup.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if $.Values.s3.caConfigMap }}
    - {name: ca, mountPath: /etc/leat/ca, readOnly: true}
    {{- end }}
    {{- with $.Values.extraVolumeMounts }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* Where the bucket is, and what opens it and the database: variables and no arguments, so that other commands run in a pod have them. */}}
{{- define "leat.storeVariables" -}}
{{- $keys := .Values.secrets.keys }}
- {name: LEAT_S3_ENDPOINT, value: {{ .Values.s3.endpoint | quote }}}
- {name: LEAT_S3_BUCKET, value: {{ .Values.s3.bucket | quote }}}
- {name: LEAT_S3_REGION, value: {{ .Values.s3.region | quote }}}
- {name: LEAT_S3_PREFIX, value: {{ .Values.s3.prefix | quote }}}
{{- if .Values.s3.caConfigMap }}
- {name: LEAT_S3_CA_FILE, value: /etc/leat/ca/ca.crt}
{{- end }}
{{ include "leat.secretVariable" (dict "name" "LEAT_POSTGRES" "key" $keys.postgres "root" .) }}
{{- if $keys.s3AccessKey }}
{{ include "leat.secretVariable" (dict "name" "LEAT_S3_ACCESS_KEY" "key" $keys.s3AccessKey "root" .) }}
{{ include "leat.secretVariable" (dict "name" "LEAT_S3_SECRET_KEY" "key" (required "secrets.keys.s3SecretKey goes with s3AccessKey" $keys.s3SecretKey) "root" .) }}
{{- end }}
{{- end }}

{{- define "leat.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
