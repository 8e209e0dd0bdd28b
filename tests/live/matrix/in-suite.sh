#!/bin/bash
# Run one command in another suite of Debian: its programs and libraries, this clone where it is.
#
#     tests/live/matrix/in-suite.sh SUITE COMMAND [ARGUMENT]...
#
# The first call for a suite makes its root folder with debootstrap, in a minute, at
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

mirrors() { # where this machine gets its own packages of Debian from
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian'
}

if [ "${1-}" != --inside ]; then
    [ $# -ge 2 ] || fail "usage: in-suite.sh SUITE COMMAND [ARGUMENT]..."
    [ "$(id -u)" -eq 0 ] || fail "must be called as root: it mounts and installs"
    suite=$1
    [[ $suite =~ ^[a-z]+$ ]] || fail "no name of a suite: '$suite'"
    shift
    clone=$(cd "$(dirname "$0")/../../.." && pwd)
    cache=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}
    suites=$cache/suites
    root=$suites/$suite

    # --- the root folder, once per suite ---------------------------------------------------------

    mkdir -p "$suites"
    exec 9>"$suites/$suite.lock"
    flock 9
    if [ ! -e "$root" ]; then
        if ! command -v debootstrap >/dev/null || [ -z "$(mirrors)" ]; then
            apt-get update -qq >&2
            apt-get install -qq -y --no-install-recommends debootstrap >&2
        fi
        mirror=$(mirrors | sed -n 1p)
        [ -n "$mirror" ] || fail "apt of this machine knows no packages of Debian"
        # All suites are made alike, and an older debootstrap does not know the newest by name.
        script=/usr/share/debootstrap/scripts/sid
        part=$(mktemp -d "$suites/$suite.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        chmod 755 "$part"
        echo "in-suite.sh: making $root with debootstrap" >&2
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
    fi
    flock -u 9
    exec 9>&-
    exec unshare --mount --propagation private "$0" --inside "$root" "$clone" "$cache" "$@"
fi

# --- inside the mount namespace --------------------------------------------------------------------

root=$2 clone=$3 cache=$4
shift 4
mount --bind "$root" "$root"
for folder in /proc /sys /dev; do
    mount --rbind "$folder" "$root$folder"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock" "$root$clone" "$root$cache"
mount --bind "$clone" "$root$clone"
mount --bind "$cache" "$root$cache"
venv="$clone/.venv/suite-$(basename "$root")" # make clean removes it with the machine's own
mkdir -p "$venv"
mount --bind "$venv" "$root$clone/.venv"
# How the machine reaches the world: its name server, the certificates it trusts, pip's index.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || { rm -f "$root$file" && cp -L "$file" "$root$file"; }
done
mkdir -p "$root/run/outside"
cd "$root"
pivot_root . run/outside
umount -l /run/outside
cd "$clone"
exec "$@"
