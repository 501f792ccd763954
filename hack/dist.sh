#!/usr/bin/env bash
# Writes what the chart installs with its defaults, for those who use kubectl alone:
#
#   install.yaml   everything, with the namespace penstock-system
#   crds.yaml      the CRDs alone
#
#   hack/dist.sh [FOLDER]    FOLDER is bin/dist by default
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/bin/dist}

# render ARGUMENTS...: the chart as kubectl applies it. What Helm marks its own objects with
# would be wrong there.
render() {
  "$root/bin/tools/helm" template penstock "$root/charts/penstock" --namespace penstock-system "$@" |
    sed -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' -e '/^ *helm\.sh\/chart: /d' -e '/^ *helm\.sh\/resource-policy: keep$/d'
}

mkdir -p "$out"
{ cat "$root/config/manager/namespace.yaml"; render; } >"$out/install.yaml"
render --show-only templates/crds.yaml >"$out/crds.yaml"
