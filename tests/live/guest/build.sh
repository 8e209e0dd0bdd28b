#!/bin/bash
# Build a part of the test guest's initramfs once per version of what goes into it, and print its path.
#
#     tests/live/guest/build.sh base | agent
#
# In base: busybox, tpm2-tools with the libraries that they load, chattr (busybox has none), the
# kernel's modules, the program init and its orders beside this script. In agent: the guest agent,
# and what makes file systems for it to freeze; it goes behind base, for machines with an agent only,
# because the firmware measures every byte into the TPM, on an emulated processor.
set -euo pipefail
umask 022

part=${1:?usage: build.sh base | agent}
here=$(cd "$(dirname "$0")" && pwd)
cache=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}
# Loaded at run time, so ldd does not name it.
tcti=$(ls /usr/lib/*/libtss2-tcti-device.so.0)
base_programs=(/bin/busybox /usr/bin/tpm2 /usr/bin/chattr)
agent_programs=("$cache/guest-agent/qemu-ga" /usr/sbin/mke2fs)

libraries_of() { ldd "$@" | grep -o '/[^ ]*\.so[^ :]*' | sort -u; }

base_libraries=$(libraries_of /usr/bin/tpm2 /usr/bin/chattr "$tcti"; echo "$tcti")
case $part in
    base)
        programs=("${base_programs[@]}")
        mapfile -t libraries <<<"$base_libraries"
        scripts=("$here"/init "$here"/*.sh)
        modules=("$cache"/kernel/modules/*)
        ;;
    agent)
        programs=("${agent_programs[@]}")
        mapfile -t libraries < <(libraries_of "${programs[@]}" | grep -vxF "$base_libraries")
        scripts=()
        modules=()
        ;;
esac
inputs=("$here/build.sh" "${scripts[@]}" "${programs[@]}" "${libraries[@]}" "${modules[@]}")
digest=$(sha256sum "${inputs[@]}" | sha256sum | cut -c 1-16)
image="$cache/initramfs-$part-$digest"

if [ ! -e "$image" ]; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    chmod 755 "$root"
    mkdir -p "$root"/{bin,dev,proc,sys,modules,tmp,run}
    cp "${programs[@]}" "$root/bin/"
    for file in "${scripts[@]}"; do
        [ "$file" = "$here/build.sh" ] || cp "$file" "$root/"
    done
    for file in "${modules[@]}"; do cp "$file" "$root/modules/"; done
    for library in "${libraries[@]}"; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    (cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -6) >"$image.$$"
    mv "$image.$$" "$image"
    find "$cache" -maxdepth 1 -name 'initramfs-*' -mtime +7 -delete
fi
echo "$image"
