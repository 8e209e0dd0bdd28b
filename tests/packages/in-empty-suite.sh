#!/bin/bash
# Run one command on an empty Debian: in a suite that holds Debian's smallest set of packages.
#
#     tests/packages/in-empty-suite.sh SUITE COMMAND [ARGUMENT]...
#
# What the command installs and writes lies in memory and ends with it; only what apt downloads is
# kept, at /var/cache/vmsnap-test/suites/empty (VMSNAP_TEST_CACHE moves it), beside the suite's
# root folder, which the first call makes. The command has an empty environment, this machine's
# network, and processes of its own, which end with it. Must be called as root.
set -euo pipefail
umask 022

matrix=$(cd "$(dirname "$0")/../live/matrix" && pwd)

if [ "${1-}" != --inside ]; then
    [ $# -ge 2 ] || { echo "usage: in-empty-suite.sh SUITE COMMAND [ARGUMENT]..." >&2; exit 2; }
    lower=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}/suites/empty/$1
    shift
    "$matrix/make-root.sh" "$(basename "$lower")" "$lower"
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child \
        "$0" --inside "$lower" "$@"
fi

lower=$2
shift 2
mount -t proc proc /proc
stage=/mnt # any folder that is always there
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir "$stage/written" "$stage/work" "$stage/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$stage/written,workdir=$stage/work" overlay "$stage/root"
archives=$lower.archives
mkdir -p "$archives/partial"
mount --bind "$archives" "$stage/root/var/cache/apt/archives"
# Nobody is there to answer, and downloads are kept for the next run.
printf '%s\n' 'APT::Get::Assume-Yes "true";' 'APT::Keep-Downloaded-Packages "true";' \
    'APT::Sandbox::User "root";' >"$stage/root/etc/apt/apt.conf.d/91vmsnap-test"
cd /
exec "$matrix/enter-root.sh" "$stage/root" "$@"
