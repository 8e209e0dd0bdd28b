#!/bin/bash
# Run one command with a folder as its root, which must be a mount of this mount namespace.
#
#     tests/live/matrix/enter-root.sh ROOT COMMAND [ARGUMENT]...
#
# The command has this machine's processes and network, and empty /tmp and /run. Its working folder
# is the present one, if the root has it, else /.
set -euo pipefail

root=$1 folder=$PWD
shift
for mounted in /proc /sys /dev; do
    mount --rbind "$mounted" "$root$mounted"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/lock"
# How the machine reaches the world: its name server, the certificates it trusts, pip's index.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || { rm -f "$root$file" && cp -L "$file" "$root$file"; }
done
mkdir "$root/run/outside"
cd "$root"
pivot_root . run/outside
umount -l /run/outside
cd "$folder" 2>/dev/null || cd /
exec "$@"
