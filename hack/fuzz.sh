#!/usr/bin/env bash
# Gives every Fuzz function of our modules FUZZTIME of its own, and ends at the first
# finding, with the file that repeats it.
#
#   FUZZTIME (default 5m)        time for each function, or 1000x for that many inputs
#   FUZZ_PARALLEL (default 2)    functions at once, on one core each
#   FUZZ (default all)           only functions whose name matches this expression
#
# A finding is written into testdata/fuzz beside the function. Commit it: from then on
# go test tries it in every run.
set -euo pipefail
# Each function in a process group of its own, so that all of it can be ended.
set -m

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints "folder function" for each.
targets() {
  git ls-files --cached --others --exclude-standard '*_test.go' |
    xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' |
    sed -E 's#^(.*)/[^/]+:func (.*)$#\1 \2#' |
    awk -v wanted="${FUZZ:-.}" '$2 ~ wanted'
}

# A worker that is busy when the time is over can be reported as a failure without a
# failing input: https://github.com/golang/go/issues/75804. That is no finding.
ended_busy() {
  grep -q '^ *context deadline exceeded$' "$1" && ! grep -q 'Failing input written to' "$1"
}

fuzz() {
  local folder=$1 function=$2 log=$3
  if go -C "$folder" test -run '^$' -fuzz "^$function\$" -fuzztime "${FUZZTIME:-5m}" -parallel 1 -timeout 0 2>&1 |
    tee "$log" | awk -v name="$function" '/^fuzz: elapsed|new interesting/ { print name ": " $0; fflush() }'; then
    return
  fi
  if ended_busy "$log"; then return; fi
  echo "fuzz: $function of ./$folder has found something:" >&2
  cat "$log" >&2
  sed -nE "s#.*Failing input written to (testdata/[^ ]+).*#fuzz: the input is kept in $folder/\1: mend what it shows, and commit it#p" "$log" >&2
  return 1
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

stop() {
  local group
  for group in $(jobs -p); do kill -- "-$group" 2>/dev/null || true; done
  wait || true
  exit 1
}
trap stop INT TERM

mapfile -t found < <(targets)
if ((${#found[@]} == 0)); then
  echo "fuzz: no Fuzz function matches ${FUZZ:-.}" >&2
  exit 1
fi
echo "fuzz: ${#found[@]} functions, ${FUZZTIME:-5m} each, ${FUZZ_PARALLEL:-2} at once"
for target in "${found[@]}"; do
  while (($(jobs -rp | wc -l) >= ${FUZZ_PARALLEL:-2})); do wait -n || stop; done
  read -r folder function <<<"$target"
  fuzz "$folder" "$function" "$logs/$function" &
done
while [[ -n $(jobs -rp) ]]; do wait -n || stop; done
echo "fuzz: nothing found"
