#!/bin/bash
# Run one command on a private KVM host: libvirtd, virtlogd and vmsnap's folders of its own, all empty.
#
#     tests/live/private-host.sh COMMAND [ARGUMENT]...
#
# The host is a set of namespaces (mount, net, ipc, uts, pid): nothing in it sees or touches the
# machine's own libvirtd, its domains, its /run or its groups. It is up in about a second, its state
# lies in memory, and all of it ends with the command, or when this script is killed. Several may
# run side by side. The command finds VMSNAP_TEST_HOST=private in its environment; its terminal,
# standard streams, working folder and exit status are passed through. Must be called as root.
#
# Left on the machine are the mount points: empty folders, where they did not exist before.
set -euo pipefail

fail() {
    echo "private-host.sh: $*" >&2
    exit 1
}

# --- outside: start the namespaces, and see to it that they never outlive this script ------------

if [ "${1-}" != --inside ]; then
    [ $# -gt 0 ] || fail "usage: private-host.sh COMMAND [ARGUMENT]..."
    [ "$(id -u)" -eq 0 ] || fail "must be called as root: it mounts and starts libvirtd"
    command -v libvirtd >/dev/null || fail "libvirtd is not installed; tests/live/install.sh installs it"

    # unshare blocks SIGTERM while it waits, so it is not exec'ed: this shell takes the signal and
    # kills it. A shell's background job has SIGINT and SIGQUIT ignored, which env takes back.
    trap '' INT
    setpriv --pdeathsig KILL env --default-signal=INT,QUIT \
        unshare --mount --net --ipc --uts --pid --fork --kill-child --propagation private \
        "$0" --inside "$@" <&0 &
    child=$!
    trap 'kill -KILL "$child"; exit 143' TERM HUP
    status=0
    wait "$child" || status=$?
    exit "$status"
fi

# --- inside: process 1 of the private host -------------------------------------------------------

shift
umask 022
mount -t proc proc /proc
stage=/mnt # any folder that is always there: what is made in it is moved or bound to its place
mount -t tmpfs -o mode=755 tmpfs "$stage"

put_in_place() { # put_in_place FOLDER: hide FOLDER behind an empty one that lies in memory
    local inner="$stage$1"
    mkdir -p "$1" "$inner"
    chmod --reference="$1" "$inner"
    chown --reference="$1" "$inner"
    mount --bind "$inner" "$1"
}

for folder in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/log/swtpm; do
    put_in_place "$folder"
done
# The folders below are made by packages, or by the programs themselves, with these owners.
install -d -m 750 -o libvirt-qemu -g libvirt-qemu /var/lib/libvirt/qemu
install -d -m 711 /var/lib/libvirt/images /var/lib/libvirt/swtpm /var/lib/libvirt/boot
put_in_place /var/lib/swtpm-localca
chmod 750 /var/lib/swtpm-localca
chown tss:root /var/lib/swtpm-localca

for folder in /etc/vmsnap /var/lib/vmsnap /var/log/vmsnap; do
    [ -d "$folder" ] || install -d -m 700 "$folder"
    put_in_place "$folder"
done

# A /dev without kvm: where its owner is not the group kvm, libvirt probes QEMU anew at every call,
# a thousand times slower; and with nested machines it is often there but does not work.
mkdir "$stage/dev"
mount -t tmpfs -o mode=755 tmpfs "$stage/dev"
while read -r name major minor; do
    mknod -m 666 "$stage/dev/$name" c "$major" "$minor"
done <<'NODES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
NODES
mkdir "$stage/dev/pts" "$stage/dev/shm"
ln -s pts/ptmx "$stage/dev/ptmx"
ln -s /proc/self/fd "$stage/dev/fd"
for number in 0 1 2; do
    names=(stdin stdout stderr)
    ln -s "/proc/self/fd/$number" "$stage/dev/${names[number]}"
done
# Mounts of the old /dev that stayed below would confuse libvirt, which keeps all it finds there.
awk '$2 == "/dev" || $2 ~ "^/dev/" { print $2 }' /proc/self/mounts | sort -r |
    while read -r mounted; do umount -l "$mounted"; done
mount --move "$stage/dev" /dev
mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm

# Without control groups: the tree is the machine's, and its libvirtd sorts its guests in it.
umount -R -l /sys/fs/cgroup 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
install -d -m 1777 /run/lock
ip link set lo up
hostname private-host
umount -l "$stage" # what was bound from it stays

# The machine's AppArmor or SELinux rules do not know these paths; owners and modes (DAC) stay on.
echo 'security_driver = "none"' >/etc/libvirt/qemu.conf
# Else libvirt makes up another host UUID at each start where the firmware has no good one.
# As Debian ships it, the group libvirt may use the socket; polkit, which has no bus here, is left out.
cat >/etc/libvirt/libvirtd.conf <<CONF
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
CONF

unset LIBVIRT_DEFAULT_URI XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
virtlogd -d </dev/null >/var/log/libvirt/virtlogd.out 2>&1 || fail "virtlogd does not start"
libvirtd -d </dev/null >/var/log/libvirt/libvirtd.out 2>&1 || fail "libvirtd does not start"
tries=0
until virsh -q -c qemu:///system version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ]; then
        cat /var/log/libvirt/*.out >&2
        fail "libvirtd does not answer within 10 seconds"
    fi
    sleep 0.1
done

# Not exec: a shell as process 1 reaps the orphans that daemons leave.
set +e
VMSNAP_TEST_HOST=private "$@"
exit $?
