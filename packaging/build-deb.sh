#!/bin/bash
# Build the Debian package for the suite that this machine runs, into dist/, from the sdist.
#
#     packaging/build-deb.sh
#
# For Debian 12 and later, as root: what building needs is installed with apt. What the suite lacks
# of Python packages is fetched with pip, as this machine is set up for it. lintian is asked at the
# end; the status is 0 unless it finds an error.
set -euo pipefail
umask 022

cd "$(dirname "$0")/.."
clone=$PWD
packages=(
    build-essential debhelper dh-python lintian
    python3-build python3-packaging python3-pip python3-venv
)
# Which dependencies the suite has is read from apt's lists.
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" \
    </dev/null >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
logged() { "$@" >>"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }

logged /usr/bin/python3 -m build --sdist --outdir "$work" .
tar -xf "$work"/vmsnap-*.tar.gz -C "$work"
cd "$work"/vmsnap-*/
cp -r packaging/debian .

. /etc/os-release
version=$(basename "$PWD")
version=${version#vmsnap-}
date=$(git -C "$clone" log -1 --format=%cD 2>/dev/null || date -R)
# The suite is part of the version: what is vendored differs, and Debian's upgrade takes the newer.
cat >debian/changelog <<END
vmsnap ($version-1~deb${VERSION_ID:-99}) ${VERSION_CODENAME:-unstable}; urgency=medium

  * Version $version: see changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $date
END
logged dpkg-buildpackage --build=binary --unsigned-changes
mkdir -p "$clone/dist"
cp "$work"/*.deb "$clone/dist/"
lintian --allow-root --fail-on error --tag-display-limit 0 "$work"/*.changes
echo "dist/$(basename "$work"/*.deb)"
