#!/bin/bash
# Build the test guest's initramfs once per version of what goes into it, and print its path.
#
#     tests/live/guest/build.sh
#
# In it: busybox, tpm2-tools with the libraries that they load, chattr (busybox has none), the
# kernel's modules and the program init beside this script. Without /orders it does nothing.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
cache=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}
programs=(/bin/busybox /usr/bin/tpm2 /usr/bin/chattr)
# Loaded at run time, so ldd does not name it.
tcti=$(ls /usr/lib/*/libtss2-tcti-device.so.0)

mapfile -t libraries < <(ldd /usr/bin/tpm2 /usr/bin/chattr "$tcti" | grep -o '/[^ ]*\.so[^ :]*' | sort -u)
inputs=("$here/init" "$here/build.sh" "${programs[@]}" "$tcti" "${libraries[@]}" "$cache"/kernel/modules/*)
digest=$(sha256sum "${inputs[@]}" | sha256sum | cut -c 1-16)
image="$cache/initramfs-$digest"

if [ ! -e "$image" ]; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root"/{bin,dev,proc,sys,modules,tmp}
    cp "${programs[@]}" "$root/bin/"
    cp "$cache"/kernel/modules/* "$root/modules/"
    cp "$here/init" "$root/init"
    chmod 755 "$root/init"
    for library in "$tcti" "${libraries[@]}"; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    # Compressed: the firmware measures every byte into the TPM, on an emulated processor.
    (cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -6) >"$image.$$"
    mv "$image.$$" "$image"
    find "$cache" -maxdepth 1 -name 'initramfs-*' -mtime +7 -delete
fi
echo "$image"
