#!/usr/bin/env bash
# Builds the developer's tools (controller-gen, sqlc, templ, govulncheck, golangci-lint, helm,
# cyclonedx-gomod) at the versions that the go.mod of each folder below pins, into
# bin/tools/. A module is built again only when its go.mod, its go.sum or the Go version
# changes.
#
#   hack/build-tools.sh            all modules
#   hack/build-tools.sh tools      controller-gen, sqlc, templ, govulncheck
#   hack/build-tools.sh lint       golangci-lint
#   hack/build-tools.sh helm       helm, version 4
#   hack/build-tools.sh helm3      helm3: helm, version 3
#   hack/build-tools.sh sbom       cyclonedx-gomod
#
# TOOLS_BUILD_PARALLELISM (default 2): packages that are compiled at once.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
out="$root/bin/tools"

# Without cgo sqlc parses with the WebAssembly build of Postgres' parser, so that
# no C compiler is needed and the binaries do not depend on the system's libc.
export CGO_ENABLED=0
# A go.work above this folder, or flags of the caller's, must not change what is built.
export GOWORK=off GOFLAGS=-buildvcs=false

fingerprint() {
  { go version; cat "$root/hack/$1/go.mod" "$root/hack/$1/go.sum"; } | sha256sum | cut -d' ' -f1
}

is_current() {
  local module=$1 package
  [[ -f "$out/.stamp-$module" && "$(<"$out/.stamp-$module")" == "$(fingerprint "$module")" ]] || return 1
  for package in $(packages "$module"); do
    [[ -x "$out/$(binary "$package")" ]] || return 1
  done
}

# Prints the name of a package's binary. Both versions of helm name theirs helm.
binary() {
  case $1 in
    helm.sh/helm/v3/*) echo helm3 ;;
    *) echo "${1##*/}" ;;
  esac
}

# Prints the main packages that the tool directives of a module name.
packages() {
  awk '$1 == "tool" && $2 != "(" { print $2 }
       $1 == "tool" && $2 == "(" { inside = 1; next }
       inside && $1 == ")"       { inside = 0 }
       inside                    { print $1 }' "$root/hack/$1/go.mod"
}

build() {
  local module=$1 package
  is_current "$module" && return
  for package in $(packages "$module"); do
    echo "building $(binary "$package") (once, until hack/$module/go.mod changes)" >&2
    (cd "$root/hack/$module" && nice -n 10 go build -p "${TOOLS_BUILD_PARALLELISM:-2}" -trimpath -ldflags='-s -w' -o "$out/$(binary "$package")" "$package")
  done
  fingerprint "$module" >"$out/.stamp-$module"
}

mkdir -p "$out"
# Two calls at once build once: the second waits and finds the stamp.
exec 9>"$out/.lock"
if command -v flock >/dev/null; then flock 9; fi

[[ $# -gt 0 ]] || set -- tools lint helm helm3 sbom
for module in "$@"; do
  build "$module"
done
