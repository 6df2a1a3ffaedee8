{{/* Labels by which a part's pods are found. Arguments: root, part. */}}
{{- define "selector" -}}
app.kubernetes.io/name: streaming-assets
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "image" -}}
{{ required "image.repository" .Values.image.repository }}:{{ required "image.tag" .Values.image.tag }}
{{- end }}

{{- define "podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Variables beside the settings, which come from the ConfigMap. Secrets are files, not at /run/secrets, which is Kubernetes' own. */}}
{{- define "env" -}}
- {name: SECRETS_FOLDER, value: /etc/streaming-assets/secrets}
- {name: PGSSLMODE, value: require}
{{- if .Values.sink.replicas }}
- {name: STREAMING_ASSETS_KAFKA_CONNECT_URL, value: ""}
{{- end }}
{{- if .Values.secrets.kafka }}
- {name: STREAMING_ASSETS_KAFKA_SASL_PASSWORD_FILE, value: /etc/streaming-assets/secrets/kafka_password}
{{- end }}
{{- end }}

{{/* Mounts and volumes of a part. Arguments: root, part as in "parts". */}}
{{- define "mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: home, mountPath: /var/lib/streaming_assets}
{{- if .part.dagster }}
- {name: instance, mountPath: /opt/dagster_home, readOnly: true}
{{- end }}
{{- if .part.published }}
- {name: published, mountPath: /var/lib/streaming_assets/published, readOnly: {{ eq .part.published "read" }}}
{{- end }}
{{- if include "secrets" . }}
- {name: secrets, mountPath: /etc/streaming-assets/secrets, readOnly: true}
{{- end }}
{{- end }}

{{- define "volumes" -}}
- {name: tmp, emptyDir: {}}
- {name: home, emptyDir: {}}
{{- if .part.dagster }}
- {name: instance, configMap: {name: {{ .root.Release.Name }}-instance}}
{{- end }}
{{- if .part.published }}
- {name: published, persistentVolumeClaim: {claimName: {{ .root.Release.Name }}-published}}
{{- end }}
{{- with include "secrets" . }}
- name: secrets
  projected:
    sources:
      {{- . | trim | nindent 6 }}
{{- end }}
{{- end }}

{{- define "secrets" -}}
{{- if .part.dagster }}
- secret:
    name: {{ required "secrets.postgres" .root.Values.secrets.postgres }}
    items: [{key: password, path: postgres_password}]
{{- end }}
{{- if and .part.kafka .root.Values.secrets.kafka }}
- secret:
    name: {{ .root.Values.secrets.kafka }}
    items: [{key: password, path: kafka_password}]
{{- end }}
{{- end }}

{{/*
What each part is:
  first      what runs to its end before it starts; where two pods do so at once, one may have to try again
  args       as the image's entrypoint takes them
  port       where it answers, if it does
  alive      the page by which it is seen to live; of what has none, the image's health check, which lists code's repositories
  ready      the page by which it is seen to be of use, where that is another one
  every      seconds between two questions; the daemon's costs an import of Dagster
  dagster    has Dagster's instance, and PostgreSQL's password
  kafka      speaks to the brokers
  account    its service account; "nobody" has no rights anywhere
  google     speaks to Google's services, and so to the metadata server, which knows who it is
  kubernetes speaks to the cluster's API
  published  read or write
  alone      two would do the same work twice
*/}}
{{- define "parts" -}}
code:
  first: &migrate {name: migrate, args: [python, /opt/image/migrate.py]}
  args: [code]
  port: 4000
  every: 15
  dagster: true
  kafka: true
  account: code
  google: true
  published: read
daemon:
  first: *migrate
  args: [daemon]
  every: 60
  dagster: true
  account: daemon
  kubernetes: true
  alone: true
webserver:
  first: *migrate
  args: [webserver]
  port: 3000
  alive: /server_info
  every: 15
  dagster: true
  account: webserver
  google: true
  kubernetes: true
viewer:
  first: *migrate
  args: [viewer]
  port: 3000
  alive: /server_info
  every: 15
  dagster: true
  account: viewer
  google: true
  kubernetes: true # with no rights: its pages show the launcher, which wants to know where the cluster is
dashboards:
  args: [dashboards]
  port: 8050
  alive: /
  ready: /healthz
  every: 15
  account: nobody
  published: read
sink:
  first: {name: topics, args: [streaming-assets, topics, --apply]}
  args: [streaming-assets, sink, --instance, $(POD_NAME)]
  kafka: true
  account: sink
  google: true
simulator:
  args: [streaming-assets, simulate, --to=kafka, --continuous]
  kafka: true
  account: nobody
  alone: true
{{- end }}

{{/* What a run's pod has, in the words of "parts"; Dagster's launcher makes it. */}}
{{- define "run" -}}
dagster: true
kafka: true
account: code
google: true
published: write
{{- end }}

{{/* A part's pod. Arguments: root, name, part, values. */}}
{{- define "pod" -}}
metadata:
  labels:
    {{- include "selector" (dict "root" .root "part" .name) | nindent 4 }}
  annotations:
    checksum/config: {{ include (print .root.Template.BasePath "/config.yaml") .root | sha256sum }}
spec:
  serviceAccountName: {{ .root.Release.Name }}-{{ .part.account }}
  automountServiceAccountToken: {{ default false .part.kubernetes }}
  securityContext:
    {{- include "podSecurity" . | nindent 4 }}
  terminationGracePeriodSeconds: 60
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "selector" (dict "root" .root "part" .name) | nindent 10 }}
  {{- with .part.first }}
  initContainers:
    - name: {{ .name }}
      {{- include "container" (merge (dict "args" .args) $) | nindent 6 }}
  {{- end }}
  containers:
    - name: {{ .name }}
      {{- include "container" (merge (dict "args" .part.args) .) | nindent 6 }}
      {{- with .part.port }}
      ports: [{name: main, containerPort: {{ . }}}]
      {{- end }}
      {{- if .part.every }}
      startupProbe:
        {{- include "question" .part.alive | nindent 8 }}
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        {{- include "question" .part.alive | nindent 8 }}
        periodSeconds: {{ .part.every }}
        failureThreshold: 4
      {{- end }}
      {{- if .part.port }}
      readinessProbe:
        {{- include "question" (default .part.alive .part.ready) | nindent 8 }}
        periodSeconds: {{ .part.every }}
      {{- end }}
  volumes:
    {{- include "volumes" . | nindent 4 }}
{{- end }}

{{/* What a probe asks. Argument: the page, if there is one. */}}
{{- define "question" -}}
{{- if . }}
httpGet: {path: {{ . }}, port: main}
{{- else }}
exec: {command: [/opt/image/with-secrets.sh, /opt/image/healthcheck.sh]}
{{- end }}
timeoutSeconds: 15
{{- end }}

{{/* A container of a part's pod, all but its name. Arguments: those of "pod", args. */}}
{{- define "container" -}}
image: {{ include "image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .args }}
envFrom: [{configMapRef: {name: {{ .root.Release.Name }}-settings}}]
env:
  {{- include "env" .root | nindent 2 }}
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  {{- if eq .name "code" }}
  - {name: DAGSTER_CURRENT_IMAGE, value: {{ include "image" .root | quote }}} # the runs' that this code is asked for
  {{- end }}
securityContext:
  {{- include "containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
volumeMounts:
  {{- include "mounts" . | nindent 2 }}
{{- end }}
