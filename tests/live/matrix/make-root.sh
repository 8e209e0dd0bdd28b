#!/bin/bash
# Make the root folder of another suite of Debian with debootstrap, in a minute, if it is not there.
#
#     tests/live/matrix/make-root.sh SUITE ROOT
#
# In it are Debian's smallest set of packages and the machine's certificates; services are not
# started by installing. Must be called as root.
set -euo pipefail
umask 022

suite=$1 root=$2

fail() {
    echo "make-root.sh: $*" >&2
    exit 1
}

mirrors() { # where this machine gets its own packages of Debian from
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian'
}

[[ $suite =~ ^[a-z]+$ ]] || fail "no name of a suite: '$suite'"
mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9
[ ! -e "$root" ] || exit 0

if ! command -v debootstrap >/dev/null || [ -z "$(mirrors)" ]; then
    apt-get update -qq >&2
    apt-get install -qq -y --no-install-recommends debootstrap >&2
fi
mirror=$(mirrors | sed -n 1p)
[ -n "$mirror" ] || fail "apt of this machine knows no packages of Debian"
# All suites are made alike, and an older debootstrap does not know the newest by name.
script=/usr/share/debootstrap/scripts/sid
part=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf "$part"' EXIT
chmod 755 "$part"
echo "make-root.sh: making $root with debootstrap" >&2
# What it mounts must not stay when it is killed.
unshare --mount --propagation private debootstrap --variant=minbase --include=ca-certificates \
    "$suite" "$part" "$mirror" "$script" </dev/null >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; fail "debootstrap failed; all it said is in $root.log"; }
printf '#!/bin/sh\nexit 101\n' >"$part/usr/sbin/policy-rc.d" # starting services is forbidden
chmod 755 "$part/usr/sbin/policy-rc.d"
# Lists of testing are valid for a week, and mirrors lag: what they hold is signed all the same.
echo 'Acquire::Check-Valid-Until "false";' >"$part/etc/apt/apt.conf.d/90vmsnap-test"
mv "$part" "$root"
trap - EXIT
