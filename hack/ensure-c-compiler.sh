#!/usr/bin/env bash
# Makes sure of a C compiler, which Go's race detector needs: it is installed where
# that is allowed (root on a Debian), and named where it is not.
set -euo pipefail

compiler=$(go env CC)
# CC may carry flags, as in "gcc -m64".
present() { command -v "${compiler%% *}" >/dev/null; }

present && exit
if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "$compiler: installing gcc and libc6-dev, which the race detector needs"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install gcc libc6-dev >/dev/null
fi
present || {
  echo "no C compiler ($compiler): go test -race needs one; install it (Debian: apt-get install gcc libc6-dev) or set CC" >&2
  exit 1
}
