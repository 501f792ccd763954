#!/usr/bin/env bash
# Fails when a generated file or the formatting of a source file is not what
# `make generate manifests sqlc fmt` makes of the sources. It compares the tree
# before and after, so that it works with changes that are not committed yet, and
# it leaves the right files in place.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# snapshot FOLDER: copies every file that is, or could be, committed.
snapshot() {
  local file
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do
      if [[ -f $file ]]; then printf '%s\0' "$file"; fi
    done |
    tar -cf - --null -T - | tar -xf - -C "$1"
}

snapshot "$work/committed"
"${MAKE:-make}" --no-print-directory generate manifests sqlc fmt
snapshot "$work/generated"

if ! (cd "$work" && diff -ruN committed generated); then
  echo
  echo "verify: the files above were not up to date. They are now: look at them and commit them." >&2
  echo "verify: (to do the same by hand: make generate manifests sqlc fmt)" >&2
  exit 1
fi
echo "verify: generated files and formatting are up to date"
