#!/usr/bin/env bash
# Builds the real parts that tests, demo and benchmarks run against into bin/:
# etcd, kube-apiserver, kube-controller-manager, kubectl, Argo's
# workflow-controller with its CRDs, kwok, mailpit, and dex; copies what GitHub and GitLab send,
# for the tests of webhooks; and makes sure of Postgres, Chromium and nginx.
#
# A part is built again only when its go.mod, its go.sum or the Go version
# changed. Two runs at once wait for each other.
#
#   KUBEBUILDER_ASSETS  a folder with etcd and kube-apiserver (and perhaps
#                       kubectl), used instead of building them
#   DATABASE_URL        a Postgres to use; nothing is looked for or installed
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/bin
stamps=$bin/.stamps
export CGO_ENABLED=0 GOWORK=off GOFLAGS=

say() { printf '%s\n' "$*"; }
fail() { say "build-parts: $*" >&2; exit 1; }

# fingerprint MODULE: changes when what the module builds may change.
fingerprint() {
  (cd "$root/hack/$1" && cat go.mod go.sum && go env GOVERSION GOOS GOARCH) | sha256sum | cut -d' ' -f1
}

# current NAME MODULE: whether bin/NAME is what MODULE builds today.
current() {
  [[ -e $bin/$1 && -e $stamps/$1 && $(<"$stamps/$1") == $(fingerprint "$2") ]]
}

# assets NAME: whether KUBEBUILDER_ASSETS provides NAME.
assets() {
  [[ -n ${KUBEBUILDER_ASSETS:-} && -x $KUBEBUILDER_ASSETS/$1 ]]
}

# build NAME MODULE PACKAGE MINUTES [LDFLAGS]: bin/NAME from PACKAGE as MODULE
# pins it; MINUTES is what it takes on two cold cores.
build() {
  local name=$1 module=$2 package=$3 minutes=$4 ldflags=${5:-} started=$SECONDS
  if current "$name" "$module"; then
    say "$name: up to date"
    return
  fi
  say "$name: building (about $minutes on a cold machine with two cores, seconds once cached)"
  (cd "$root/hack/$module" && go build -ldflags "$ldflags" -o "$work/$name" "$package")
  mv "$work/$name" "$bin/$name"
  fingerprint "$module" >"$stamps/$name"
  say "$name: built in $((SECONDS - started)) s"
}

# build_or_assets: as build, unless KUBEBUILDER_ASSETS has the part.
build_or_assets() {
  if assets "$1"; then
    say "$1: taken from KUBEBUILDER_ASSETS"
    return
  fi
  build "$@"
}

# kubernetes_ldflags: the version that the binaries report, as go.mod pins it.
kubernetes_ldflags() {
  local version major minor package=k8s.io/component-base/version
  version=$(cd "$root/hack/controlplane" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  say "-X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
}

copy_argo_crds() {
  local module
  if current argo-crds argo; then
    say "argo-crds: up to date"
    return
  fi
  module=$(cd "$root/hack/argo" && go mod download github.com/argoproj/argo-workflows/v3 && go list -m -f '{{.Dir}}' github.com/argoproj/argo-workflows/v3)
  mkdir "$work/argo-crds"
  install -m 0644 "$module"/manifests/base/crds/minimal/argoproj.io_*.yaml "$work/argo-crds/"
  rm -rf "$bin/argo-crds"
  mv "$work/argo-crds" "$bin/argo-crds"
  fingerprint argo >"$stamps/argo-crds"
  say "argo-crds: copied"
}

# copy_payloads: what GitHub sends, from an npm package, and GitLab, from a Go module.
copy_payloads() {
  local module name version integrity
  if [[ -e $bin/payloads && -e $stamps/payloads && $(<"$stamps/payloads") == $(payloads_fingerprint) ]]; then
    say "payloads: up to date"
    return
  fi
  mkdir "$work/payloads"
  module=$(cd "$root/hack/payloads" && go mod download gitlab.com/gitlab-org/api/client-go && go list -m -f '{{.Dir}}' gitlab.com/gitlab-org/api/client-go)
  install -D -m 0644 -t "$work/payloads/gitlab" "$module"/testdata/webhooks/*.json
  read -r name version integrity <"$root/hack/payloads/npm.txt"
  (cd "$root" && GOFLAGS=-buildvcs=false go run ./hack/npmfiles "$name" "$version" "$integrity" api.github.com/index.json "$work/payloads/github.json")
  rm -rf "$bin/payloads"
  mv "$work/payloads" "$bin/payloads"
  payloads_fingerprint >"$stamps/payloads"
  say "payloads: copied"
}

payloads_fingerprint() {
  cat "$root"/hack/payloads/* | sha256sum | cut -d' ' -f1
}

# copy_axe: what looks for barriers in pages, from an npm package.
copy_axe() {
  local name version integrity
  if [[ -e $bin/axe && -e $stamps/axe && $(<"$stamps/axe") == $(sha256sum <"$root/hack/browser/npm.txt") ]]; then
    say "axe: up to date"
    return
  fi
  mkdir "$work/axe"
  read -r name version integrity <"$root/hack/browser/npm.txt"
  (cd "$root" && GOFLAGS=-buildvcs=false go run ./hack/npmfiles "$name" "$version" "$integrity" axe.min.js "$work/axe/axe.min.js")
  rm -rf "$bin/axe"
  mv "$work/axe" "$bin/axe"
  sha256sum <"$root/hack/browser/npm.txt" >"$stamps/axe"
  say "axe: copied"
}

# install_chromium: the Debian package, with one font.
install_chromium() {
  say "chromium: installing the package chromium"
  apt-get -qq update
  env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install chromium fonts-dejavu-core >/dev/null
}

# ensure_chromium: the tests of the dashboard look at it with a browser, and fail without one.
ensure_chromium() {
  if ! command -v "${CHROMIUM:-chromium}" chromium-browser google-chrome >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    install_chromium || say "chromium: can't be installed; the tests of the dashboard will fail"
  fi
}

# ensure_nginx: the tests of the dashboard look at it through a proxy, and fail without one.
ensure_nginx() {
  if ! command -v nginx /usr/sbin/nginx >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    install_without_service nginx || say "nginx: can't be installed; the tests of the dashboard behind a proxy will fail"
  fi
}

postgres_present() {
  local candidate
  for candidate in "$(command -v initdb || true)" /usr/lib/postgresql/*/bin/initdb; do
    [[ -x $candidate && -x $(dirname "$(readlink -f "$candidate")")/postgres ]] && return
  done
  return 1
}

# install_postgres: the Debian package, without the cluster that it would
# create and start by itself.
install_postgres() {
  local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install)
  say "postgres: installing the package postgresql (about a minute)"
  apt-get -qq update
  "${quiet[@]}" postgresql-common >/dev/null
  sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  "${quiet[@]}" postgresql >/dev/null
}

# install_without_service PACKAGE: the Debian package, without the service that it would start by
# itself.
install_without_service() {
  local policy=/usr/sbin/policy-rc.d mine=false
  say "$1: installing the package $1"
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    mine=true
  fi
  apt-get -qq update
  local failed=false
  env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$1" >/dev/null || failed=true
  if $mine; then rm -f "$policy"; fi
  ! $failed
}

# ensure_pgbouncer: tests that need it skip themselves where it can't be had.
ensure_pgbouncer() {
  if ! command -v pgbouncer /usr/sbin/pgbouncer >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    install_without_service pgbouncer || say "pgbouncer: can't be installed; tests through a pooler skip themselves"
  fi
}

ensure_postgres() {
  if [[ -n ${DATABASE_URL:-} ]]; then
    say "postgres: taken from DATABASE_URL"
    return
  fi
  if ! postgres_present && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    install_postgres
  fi
  postgres_present || fail "no Postgres: set DATABASE_URL, or install Postgres 13 or newer (Debian: apt-get install postgresql) so that initdb and postgres are on the PATH or under /usr/lib/postgresql/*/bin"
  say "postgres: present"
}

command -v go >/dev/null || fail "go is not on the PATH"
mkdir -p "$stamps"
exec 9>"$bin/.lock"
flock -n 9 || { say "another build-parts is running: waiting for it"; flock 9; }
work=$(mktemp -d "$bin/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

ensure_postgres
ensure_pgbouncer
ensure_chromium
ensure_nginx
kubernetes=$(kubernetes_ldflags)
build_or_assets etcd controlplane go.etcd.io/etcd/server/v3 "1 minute"
build_or_assets kube-apiserver controlplane k8s.io/kubernetes/cmd/kube-apiserver "7 minutes" "$kubernetes"
build_or_assets kubectl controlplane k8s.io/kubernetes/cmd/kubectl "1 minute" "$kubernetes"
build kube-controller-manager controlplane k8s.io/kubernetes/cmd/kube-controller-manager "3 minutes" "$kubernetes"
build workflow-controller argo github.com/argoproj/argo-workflows/v3/cmd/workflow-controller "4 minutes"
copy_argo_crds
build kwok kwok sigs.k8s.io/kwok/cmd/kwok "2 minutes"
build mailpit mailpit github.com/axllent/mailpit "2 minutes"
if "$root/hack/ensure-c-compiler.sh"; then
  CGO_ENABLED=1 build dex dex github.com/dexidp/dex/cmd/dex "2 minutes" # it does not compile without SQLite
else
  say "dex: can't be built without a C compiler; the tests of sign-in will fail"
fi
copy_payloads
copy_axe
