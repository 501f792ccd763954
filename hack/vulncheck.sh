#!/usr/bin/env bash
# Looks for known vulnerabilities in code that Penstock really calls, and fails
# when there is one that hack/vulncheck/accepted.yaml does not accept.
#
#   hack/vulncheck.sh                the product's module
#   hack/vulncheck.sh . test/bench   the modules in these folders
#
#   GOVULNDB              another copy of the Go vulnerability database: a mirror's
#                         URL, or file:///folder (default https://vuln.go.dev)
#   VULNCHECK=required  fail, too, when the database cannot be reached. Without
#                         it that is said loudly and is no failure, because a
#                         machine behind a proxy cannot do anything about it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
govulncheck=$root/bin/tools/govulncheck
database=${GOVULNDB:-https://vuln.go.dev}
cd "$root"

[[ $# -gt 0 ]] || set -- .

# govulncheck names the database's date only when it could read the database.
# A host that swallows packets must not hold up the build.
database_answers() {
  local answer
  answer=$(timeout 60 "$govulncheck" -db "$database" -version 2>&1) && [[ $answer == *"DB updated:"* ]]
}

# scan MODULE...: what govulncheck finds in each, as one stream.
scan() {
  local module
  for module in "$@"; do
    "$govulncheck" -C "$module" -db "$database" -format json ./... || return
  done
}

if database_answers; then
  scan "$@" | go run ./hack/vulncheck hack/vulncheck/accepted.yaml
  exit
fi

echo "vulncheck: NOT CHECKED: the vulnerability database $database cannot be reached; set GOVULNDB to a copy (URL or file:///folder)" >&2
if [[ ${VULNCHECK:-} == required ]]; then
  echo "vulncheck: failed, because VULNCHECK=required" >&2
  exit 1
fi
