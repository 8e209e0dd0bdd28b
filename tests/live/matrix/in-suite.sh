#!/bin/bash
# Run one command in another suite of Debian: its programs and libraries, this clone where it is.
#
#     tests/live/matrix/in-suite.sh SUITE COMMAND [ARGUMENT]...
#
# The first call for a suite makes its root folder (make-root.sh), at
# /var/cache/vmsnap-test/suites/SUITE (VMSNAP_TEST_CACHE moves it), where it stays. The command has
# this machine's network and processes, but a mount namespace of its own: its root is that folder,
# into which the clone, the cache and an empty /tmp are mounted, and a .venv of the suite's own lies
# over the clone's. install.sh and private-host.sh run in it as they do outside. Its working folder
# is the clone. Must be called as root.
set -euo pipefail
umask 022

fail() {
    echo "in-suite.sh: $*" >&2
    exit 1
}

if [ "${1-}" != --inside ]; then
    [ $# -ge 2 ] || fail "usage: in-suite.sh SUITE COMMAND [ARGUMENT]..."
    [ "$(id -u)" -eq 0 ] || fail "must be called as root: it mounts and installs"
    suite=$1
    shift
    clone=$(cd "$(dirname "$0")/../../.." && pwd)
    cache=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}
    root=$cache/suites/$suite

    "$(dirname "$0")/make-root.sh" "$suite" "$root"
    exec unshare --mount --propagation private "$0" --inside "$root" "$clone" "$cache" "$@"
fi

# --- inside the mount namespace --------------------------------------------------------------------

root=$2 clone=$3 cache=$4
shift 4
mount --bind "$root" "$root"
mkdir -p "$root$clone" "$root$cache"
mount --bind "$clone" "$root$clone"
mount --bind "$cache" "$root$cache"
venv="$clone/.venv/suite-$(basename "$root")" # make clean removes it with the machine's own
mkdir -p "$venv"
mount --bind "$venv" "$root$clone/.venv"
cd "$clone"
exec tests/live/matrix/enter-root.sh "$root" "$@"
