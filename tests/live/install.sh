#!/bin/bash
# Install what the tests or the demo need and the machine lacks; quick where nothing is missing.
#
#     tests/live/install.sh demo | test | bench
#
# For Debian 12 and later, as root. Made are: packages by apt; .venv in this clone; and the kernel and
# the guest agent of the test guest in /var/cache/vmsnap-test (VMSNAP_TEST_CACHE). Their packages are
# unpacked there, never installed: the machine's own boot and services must not change. No service
# is started by installing.
set -euo pipefail
umask 022

usage="usage: install.sh demo | test | bench"
purpose=${1:?$usage}
clone=$(cd "$(dirname "$0")/../.." && pwd)
cache=${VMSNAP_TEST_CACHE:-/var/cache/vmsnap-test}

say() { echo "install.sh: $*" >&2; }

# Not the first python3 in PATH: only Debian's own sees python3-libvirt.
python=/usr/bin/python3

packages=(
    libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils
    swtpm swtpm-tools ovmf
    python3-libvirt python3-venv python3-pip
    iproute2 procps
    busybox-static tpm2-tools e2fsprogs cpio kmod xz-utils
)
case $purpose in
    demo) extras= ;;
    test | bench)
        extras='[dev,mysql]'
        packages+=(mariadb-server git gcc libc6-dev sqlite3 man-db tmux zsh fish bash-completion)
        ;;
    *) echo "$usage" >&2; exit 2 ;;
esac

missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

update_lists() { # once per run, and only if something is to be fetched
    [ -z "${lists_are_new-}" ] || return 0
    apt-get update -qq
    lists_are_new=yes
}

install_packages() {
    local policy=/usr/sbin/policy-rc.d
    say "installing with apt: $*"
    update_lists
    if [ ! -e "$policy" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" # 101: starting services is forbidden
        chmod 755 "$policy"
    fi
    mkdir -p "$cache"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" \
        </dev/null >"$cache/apt.log" 2>&1 || { cat "$cache/apt.log" >&2; exit 1; }
}

# The library by which tpm2-tools talk to /dev/tpm0 is loaded at run time, and its package was
# renamed: libtss2-tcti-device0, since Debian 13 libtss2-tcti-device0t64.
tcti_is_missing() { ! ls /usr/lib/*/libtss2-tcti-device.so.0 >/dev/null 2>&1; }

mapfile -t missing < <(missing_packages "${packages[@]}")
if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
fi
if tcti_is_missing; then
    update_lists
    install_packages "$(apt-cache pkgnames libtss2-tcti-device0 | head -n 1)"
fi

# --- the guest's kernel and agent ----------------------------------------------------------------

unpack() { # unpack PACKAGE: download it; what is in it lies in $work/unpacked then
    update_lists
    say "unpacking $1 into $cache"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/unpacking.XXXXXX")
    chmod 755 "$work"
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$1" >&2 &&
        dpkg-deb -x ./*.deb unpacked)
}

# Of the kernel's modules only these are kept, with what they need: another list unpacks anew.
modules="virtio_pci virtio_blk virtio_console efivarfs button evdev ext4"
if [ "$(cat "$cache/kernel/for" 2>/dev/null)" != "$modules" ]; then
    update_lists
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    unpack "$package"
    version=$(basename "$work"/unpacked/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    [ -d "$work/unpacked/lib" ] || ln -s usr/lib "$work/unpacked/lib"
    depmod -b "$work/unpacked" "$version"
    mkdir "$work/kernel" "$work/kernel/modules"
    # In the order in which they must be loaded; what is built in is not listed.
    # shellcheck disable=SC2086 # a list
    modprobe -d "$work/unpacked" -S "$version" --show-depends -a $modules |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r module; do
            name=$(basename "$module")
            case $name in
                *.xz) xz -dc "$module" >"$work/kernel/modules/${name%.xz}"; name=${name%.xz} ;;
                *) cp "$module" "$work/kernel/modules/$name" ;;
            esac
            echo "$name" >>"$work/kernel/modules/order"
        done
    cp "$work/unpacked/boot/vmlinuz-$version" "$work/kernel/vmlinuz"
    echo "$modules" >"$work/kernel/for"
    rm -rf "$cache/kernel"
    mv "$work/kernel" "$cache/kernel"
    rm -rf "$work"
fi

# Its libraries are those of QEMU, which is installed; a cache may have come from a newer Debian.
agent_runs() { [ -e "$1" ] && ! ldd "$1" 2>&1 | grep 'not found' >&2; }
if ! agent_runs "$cache/guest-agent/qemu-ga"; then
    unpack qemu-guest-agent
    if ! agent_runs "$work/unpacked/usr/sbin/qemu-ga"; then
        say "qemu-ga needs libraries that this machine lacks"
        exit 1
    fi
    mkdir "$work/guest-agent"
    cp "$work/unpacked/usr/sbin/qemu-ga" "$work/guest-agent/"
    rm -rf "$cache/guest-agent"
    mv "$work/guest-agent" "$cache/guest-agent"
    rm -rf "$work"
fi

# --- the virtual environment ----------------------------------------------------------------------

# python3-libvirt comes from apt and is seen through --system-site-packages: pip must not build it.
is_fresh() { [ -e "$1" ] && [ ! "$clone/pyproject.toml" -nt "$1" ]; }
stamp="$clone/.venv/installed-for-${purpose/bench/test}"
# What the tests need includes what the demo needs.
if ! is_fresh "$stamp" && ! is_fresh "$clone/.venv/installed-for-test"; then
    say "installing vmsnap$extras into .venv"
    [ -x "$clone/.venv/bin/python" ] || "$python" -m venv --system-site-packages "$clone/.venv"
    "$clone/.venv/bin/pip" install -q --disable-pip-version-check --root-user-action ignore \
        -e "$clone$extras" </dev/null >&2
    touch "$stamp"
fi

# What is measured is vmsnap as it is installed: from a wheel, its modules compiled.
if [ "$purpose" = bench ]; then
    say "installing vmsnap's wheel into .venv/bench"
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' EXIT
    rm -rf "$clone/build" # a module that is no more would come along
    pip=("$clone/.venv/bin/pip" -q --disable-pip-version-check)
    "${pip[@]}" wheel --no-deps -w "$wheels" "$clone" </dev/null >&2
    [ -x "$clone/.venv/bench/bin/python" ] ||
        "$python" -m venv --system-site-packages "$clone/.venv/bench"
    pip=("$clone/.venv/bench/bin/pip" -q --disable-pip-version-check)
    "${pip[@]}" install --root-user-action ignore "$wheels"/*.whl </dev/null >&2
    "${pip[@]}" install --root-user-action ignore --no-deps --force-reinstall \
        "$wheels"/*.whl </dev/null >&2
fi
