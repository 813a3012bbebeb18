{{/* The namespace of Calico. The release may have another one. */}}
{{- define "wireguard-ts.namespace" -}}
{{ if eq .Values.installation "manifest" }}kube-system{{ else }}calico-system{{ end }}
{{- end }}

{{/* The image. As in kustomize, a digest replaces the tag unless both are set. */}}
{{- define "wireguard-ts.image" -}}
{{- $image := .Values.image -}}
{{- $tag := $image.tag | default (ternary "" .Chart.AppVersion (ne $image.digest "")) -}}
{{ $image.repository }}{{ if $tag }}:{{ $tag }}{{ end }}{{ if $image.digest }}@{{ $image.digest }}{{ end }}
{{- end }}

{{/* The components: those of the values, and those that the installation includes. A dict of true. */}}
{{- define "wireguard-ts.components" -}}
{{- $components := dict -}}
{{- range $name, $on := .Values.components }}{{ if $on }}{{ $_ := set $components $name true }}{{ end }}{{ end -}}
{{- if has .Values.installation (list "eks-aws-cni" "aks-azure-cni") -}}
{{- $_ := set $components "workloadIps" true }}{{ $_ := set $components "hostEncryption" true -}}
{{- end -}}
{{- if eq .Values.installation "openshift" }}{{ $_ := set $components "openshift" true }}{{ end -}}
{{- if $components.openshift }}{{ $_ := set $components "selinux" true }}{{ end -}}
{{ toYaml $components }}
{{- end }}

{{/* Whether the policy is installed: "true" or empty. */}}
{{- define "wireguard-ts.ownNodeOnly" -}}
{{- $isNew := semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}
{{ if or (eq .Values.ownNodeOnly "always") (and (eq .Values.ownNodeOnly "auto") $isNew) }}true{{ end }}
{{- end }}

{{/* What both kinds of pods have. */}}
{{- define "wireguard-ts.podSecurity" -}}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Root with one capability only. */}}
{{- define "wireguard-ts.netAdmin" -}}
runAsUser: 0
runAsGroup: 0
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [NET_ADMIN]
{{- end }}
