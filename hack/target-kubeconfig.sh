#!/usr/bin/env bash
# Prints a kubeconfig with the token of config/target, for the cluster of a context:
#
#   hack/target-kubeconfig.sh eu-1 | kubectl -n penstock-system create secret generic eu-1 --from-file=kubeconfig=/dev/stdin
#
# KUBECTL names another kubectl. The context's own credentials are used to read the token,
# and are not part of what is printed.
set -euo pipefail

kubectl=${KUBECTL:-kubectl}
context=${1:?which context of your kubeconfig reaches the cluster? usage: hack/target-kubeconfig.sh CONTEXT}

view() { "$kubectl" config view --raw --flatten --minify --context "$context" -o "jsonpath={.clusters[0].cluster.$1}"; }
account() { "$kubectl" --context "$context" -n penstock-target get secret penstock-target -o "jsonpath={.data.$1}"; }

server=$(view server)
token=$(account token | base64 --decode)
authority=$(account 'ca\.crt')
if [[ -z $token ]]; then
	echo "hack/target-kubeconfig.sh: Secret penstock-target in namespace penstock-target has no token yet: apply config/target in that cluster, and try again in a moment" >&2
	exit 1
fi
# What the context says of the authority goes before the account's: a load balancer may
# have a certificate of its own.
own=$(view certificate-authority-data)
cat <<YAML
apiVersion: v1
kind: Config
current-context: target
contexts: [{name: target, context: {cluster: target, user: target}}]
clusters:
- name: target
  cluster:
    server: $server
    certificate-authority-data: ${own:-$authority}
users:
- name: target
  user:
    token: $token
YAML
