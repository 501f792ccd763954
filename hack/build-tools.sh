#!/usr/bin/env bash
# Builds the developer's tools (controller-gen, sqlc, templ, govulncheck, golangci-lint)
# at the versions that hack/tools/go.mod and hack/lint/go.mod pin, into bin/tools/.
# A module is built again only when its go.mod, its go.sum or the Go version changes.
#
#   hack/build-tools.sh            both modules
#   hack/build-tools.sh tools      controller-gen, sqlc, templ, govulncheck
#   hack/build-tools.sh lint       golangci-lint
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
  local module=$1 tool
  [[ -f "$out/.stamp-$module" && "$(<"$out/.stamp-$module")" == "$(fingerprint "$module")" ]] || return 1
  for tool in $(packages "$module"); do
    [[ -x "$out/${tool##*/}" ]] || return 1
  done
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
    echo "building ${package##*/} (once, until hack/$module/go.mod changes)" >&2
    (cd "$root/hack/$module" && go build -p "${TOOLS_BUILD_PARALLELISM:-2}" -trimpath -ldflags='-s -w' -o "$out/" "$package")
  done
  fingerprint "$module" >"$out/.stamp-$module"
}

mkdir -p "$out"
# Two calls at once build once: the second waits and finds the stamp.
exec 9>"$out/.lock"
if command -v flock >/dev/null; then flock 9; fi

[[ $# -gt 0 ]] || set -- tools lint
for module in "$@"; do
  build "$module"
done
