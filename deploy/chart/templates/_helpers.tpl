{{- define "forager.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "forager.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "forager.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "forager.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "forager.selector" -}}
app.kubernetes.io/name: {{ include "forager.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "forager.labels" -}}
{{ include "forager.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "forager.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "forager.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "forager.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* A claim outlives a call by half; a delivery may come again while its claim is good, and waits for it. */}}
{{- define "forager.leaseSeconds" -}}
{{- max 15 (div (add (mul 3 (int .Values.thehive.timeoutSeconds)) 1) 2) }}
{{- end }}
{{- define "forager.ackWaitSeconds" -}}
{{- include "forager.leaseSeconds" . }}
{{- end }}

{{- define "forager.maxReplicas" -}}
{{- if .Values.keda.enabled }}{{ .Values.keda.maxReplicas }}{{ else }}{{ max 1 (int .Values.replicaCount) }}{{ end }}
{{- end }}

{{- define "forager.maxInFlight" -}}
{{- $pipeline := .Values.config.pipeline | default dict }}
{{- $pipeline.maxInFlight | default (mul 64 (int .Values.thehive.concurrency)) | int }}
{{- end }}

{{/* Room for four times what all replicas hold, so that delayed naks do not stop delivery. */}}
{{- define "forager.maxAckPending" -}}
{{- mul 4 (int (include "forager.maxReplicas" .)) (int (include "forager.maxInFlight" .)) }}
{{- end }}

{{/* What reaches NATS, as keys of the configuration: .nats says where, .account as whom. */}}
{{- define "forager.nats" -}}
{{- $nats := dict "url" .nats.url "stream" .nats.stream }}
{{- $ways := 0 }}
{{- with .account.credentials.secret.name }}{{ $ways = add1 $ways }}{{ $_ := set $nats "credsFile" "/etc/forager/secrets/nats.creds" }}{{ end }}
{{- with .account.nkey.secret.name }}{{ $ways = add1 $ways }}{{ $_ := set $nats "nkeyFile" "/etc/forager/secrets/nats.nkey" }}{{ end }}
{{- with .account.token.secret.name }}{{ $ways = add1 $ways }}{{ $_ := set $nats "tokenFile" "/etc/forager/secrets/nats.token" }}{{ end }}
{{- with .account.user.name }}{{ $ways = add1 $ways }}{{ $_ := set $nats "user" . }}{{ $_ := set $nats "passwordFile" "/etc/forager/secrets/nats.password" }}{{ end }}
{{- if gt (int $ways) 1 }}{{ fail "nats: give one of credentials, nkey, token and user" }}{{ end }}
{{- with .account.inboxPrefix }}{{ $_ := set $nats "inboxPrefix" . }}{{ end }}
{{- with .nats.domain }}{{ $_ := set $nats "domain" . }}{{ end }}
{{- with .nats.apiPrefix }}{{ $_ := set $nats "apiPrefix" . }}{{ end }}
{{- with .nats.tls }}
{{- if .handshakeFirst }}{{ $_ := set $nats "tlsFirst" true }}{{ end }}
{{- if .secretName }}
{{- if .ca }}{{ $_ := set $nats "caFile" (printf "/etc/forager/nats-tls/%s" .ca) }}{{ end }}
{{- if .clientCertificate }}{{ $_ := set $nats "certFile" (printf "/etc/forager/nats-tls/%s" .cert) }}{{ $_ := set $nats "keyFile" (printf "/etc/forager/nats-tls/%s" .key) }}{{ end }}
{{- else if .clientCertificate }}{{ fail "nats.tls.clientCertificate: needs nats.tls.secretName" }}
{{- end }}
{{- end }}
{{- toYaml $nats }}
{{- end }}

{{/* The Secrets of an account of NATS, as sources of a projected volume. */}}
{{- define "forager.natsSecrets" -}}
{{- with .credentials.secret }}{{ if .name }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: nats.creds}]}
{{- end }}{{ end }}
{{- with .nkey.secret }}{{ if .name }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: nats.nkey}]}
{{- end }}{{ end }}
{{- with .token.secret }}{{ if .name }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: nats.token}]}
{{- end }}{{ end }}
{{- if .user.name }}
- secret:
    name: {{ required "nats.user.secret.name is needed with nats.user.name" .user.secret.name }}
    items: [{key: {{ .user.secret.key }}, path: nats.password}]
{{- end }}
{{- end }}

{{/* The account of the intake: its own where it has one, else the worker's. */}}
{{- define "forager.intakeAccount" -}}
{{- $own := .Values.intake.nats }}
{{- $has := or $own.credentials.secret.name $own.nkey.secret.name $own.token.secret.name $own.user.name }}
{{- $account := .Values.nats }}{{ if $has }}{{ $account = $own }}{{ end }}
{{- toYaml (dict "inboxPrefix" ($own.inboxPrefix | default .Values.nats.inboxPrefix) "credentials" $account.credentials "nkey" $account.nkey "token" $account.token "user" $account.user) }}
{{- end }}

{{/* The configuration file of the intake. */}}
{{- define "forager.intakeConfig" -}}
{{- $sources := list }}
{{- range .Values.intake.sources }}
{{- $s := dict "name" .name "subject" .subject }}
{{- $file := printf "/etc/forager/secrets/intake-%s" .name }}
{{- if .token }}{{ $_ := set $s "tokenFile" $file }}{{ end }}
{{- if .user }}{{ $_ := set $s "user" .user.name }}{{ $_ := set $s "passwordFile" $file }}{{ end }}
{{- if .signature }}{{ $_ := set $s "keyFile" $file }}{{ with .signature.header }}{{ $_ := set $s "signatureHeader" . }}{{ end }}{{ end }}
{{- with .rate }}{{ $_ := set $s "rate" (int .) }}{{ end }}
{{- $sources = append $sources $s }}
{{- end }}
{{- $nats := include "forager.nats" (dict "nats" .Values.nats "account" (include "forager.intakeAccount" . | fromYaml)) | fromYaml }}
{{- $all := dict "nats" $nats "intake" (dict "addr" (printf ":%d" (int .Values.intake.port)) "sources" $sources) "ops" (dict "addr" (printf ":%d" (int .Values.ops.port))) }}
{{- toYaml (mergeOverwrite (pick (deepCopy .Values.config) "pipeline" "log") $all) }}
{{- end }}

{{- define "forager.intakeSelector" -}}
app.kubernetes.io/name: {{ include "forager.name" . }}-intake
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "forager.intakeLabels" -}}
{{ include "forager.intakeSelector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* A number of bytes as the configuration has it: Helm makes a large number a float. */}}
{{- define "forager.size" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ int64 . }}{{ end }}
{{- end }}

{{/* Where TheHive's webhook is taken in, and by what TheHive shows itself. */}}
{{- define "forager.webhook" -}}
{{- $w := .Values.webhook }}
{{- $keys := dict "addr" (printf ":%d" (int $w.port)) }}
{{- if and $w.token.secret.name $w.user.name }}{{ fail "webhook: give one of token and user" }}{{ end }}
{{- if $w.token.secret.name }}{{ $_ := set $keys "tokenFile" "/etc/forager/secrets/webhook" }}
{{- else if $w.user.name }}{{ $_ := set $keys "user" $w.user.name }}{{ $_ := set $keys "passwordFile" "/etc/forager/secrets/webhook" }}
{{- else }}{{ fail "webhook.token.secret.name is needed, or webhook.user: how does TheHive show itself?" }}
{{- end }}
{{- toYaml $keys }}
{{- end }}

{{/* The configuration file: what the values say, and .config on top. */}}
{{- define "forager.config" -}}
{{- $nats := include "forager.nats" (dict "nats" .Values.nats "account" .Values.nats) | fromYaml }}
{{- $manage := and .Values.nats.manage (not .Values.nack.enabled) }}
{{- $_ := merge $nats (dict "consumer" .Values.nats.consumer "subjects" .Values.nats.subjects "manage" $manage "endsFile" "/tmp/ends.json" "ackWait" (printf "%ss" (include "forager.ackWaitSeconds" .))) }}
{{- $letters := dict "stream" .Values.deadLetters.stream }}
{{- if $manage }}
{{- $_ := merge $nats (dict "replicas" (int .Values.nats.replicas) "maxAge" .Values.nats.maxAge "maxBytes" (include "forager.size" .Values.nats.maxBytes)) }}
{{- $_ := set $letters "maxBytes" (include "forager.size" .Values.deadLetters.maxBytes) }}
{{- end }}
{{- $hive := dict "url" (required "thehive.url is needed: the address of TheHive 5" .Values.thehive.url) "apiKeyFile" "/etc/forager/secrets/hive.key" "concurrency" (int .Values.thehive.concurrency) "timeout" (printf "%ds" (int .Values.thehive.timeoutSeconds)) }}
{{- with .Values.thehive.organisation }}{{ $_ := set $hive "organisation" . }}{{ end }}
{{- if .Values.thehive.ca.secret.name }}{{ $_ := set $hive "caFile" "/etc/forager/secrets/hive.ca" }}{{ end }}
{{- $all := dict "nats" $nats "hive" $hive "ledger" (dict "bucket" .Values.ledger.bucket "lease" (printf "%ss" (include "forager.leaseSeconds" .))) "deadLetters" $letters "ops" (dict "addr" (printf ":%d" (int .Values.ops.port))) }}
{{- if .Values.webhook.enabled }}{{ $_ := set $all "webhook" (include "forager.webhook" . | fromYaml) }}{{ end }}
{{- with .Values.rules }}{{ $_ := set $all "rules" (dict "files" (list "/etc/forager/rules")) }}{{ end }}
{{- with .Values.formats }}{{ $_ := set $all "formats" (dict "directories" (list "/etc/forager/formats")) }}{{ end }}
{{- toYaml (mergeOverwrite $all (deepCopy .Values.config)) }}
{{- end }}

{{/* What Go's runtime keeps to: nine tenths of the container's memory limit. Empty where there is none, or where extraEnv says it. */}}
{{- define "forager.memoryLimit" -}}
{{- $given := dig "limits" "memory" "" (.resources | default dict) }}
{{- $limit := kindIs "float64" $given | ternary (printf "%.0f" (float64 $given)) (toString $given) }}
{{- range .env }}{{ if eq .name "GOMEMLIMIT" }}{{ $limit = "" }}{{ end }}{{ end }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $limit }}
{{- $unit := trimPrefix $number $limit }}
{{- if and $number (hasKey $units $unit) }}
{{- mulf (float64 $number) (float64 (get $units $unit)) 0.9 | floor | int64 }}
{{- end }}
{{- end }}
