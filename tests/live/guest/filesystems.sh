# Orders for a machine with an agent: file systems that can be frozen, and the agent that freezes them.
#
#   mount        mount an ext4 of each disk under /mnt; make it where there is none
#   agent        start the real guest agent on its channel
#   agent-kill   end it at once; what is frozen stays frozen
#   agent-hang   halt it: connected, but it answers no more
#   agent-wake   let it go on

# From 8 to 40 MiB of each disk: clear of the words at the start and of the numbers behind. The kernel
# keeps what it has read of a partition table, so the words are put back where the table was.
add_partition() {
    dd if="/dev/$1" of=/sector bs=512 count=1 2>/dev/null &&
        dd if=/table of="/dev/$1" bs=512 conv=notrunc,fsync 2>/dev/null &&
        blockdev --rereadpt "/dev/$1" &&
        dd if=/sector of="/dev/$1" bs=512 conv=notrunc,fsync 2>/dev/null
}

make_table() { # one Linux partition, of 65536 sectors from sector 16384 on
    head -c 446 /dev/zero
    printf '\000\000\000\000\203\000\000\000\000\100\000\000\000\000\001\000'
    head -c 48 /dev/zero
    printf '\125\252'
}

mount_one() {
    add_partition "$1" && mkdir -p "/mnt/$1" || return 1
    # Fails where there is no file system yet.
    mount -t ext4 "/dev/${1}1" "/mnt/$1" 2>/dev/null && return
    # By its path: busybox's shell prefers its own, which makes no journal.
    /bin/mke2fs -q -F -t ext4 "/dev/${1}1" && mount -t ext4 "/dev/${1}1" "/mnt/$1"
}

mount_all() {
    make_table >/table
    for disk in $(disks); do mount_one "$disk" || return 1; done
}

agent_start() {
    name=$(named org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name)
    [ -n "$name" ] || return 1
    # What the agent calls when it is told to shut the guest down.
    mkdir -p /sbin
    printf '#!/bin/sh\necho stop >/told\n' >/sbin/shutdown
    chmod 755 /sbin/shutdown
    port=/dev/$(basename "$(dirname "$name")")
    qemu-ga -m virtio-serial -p "$port" -t /run -l /run/agent.log &
    agent=$!
    for _ in $(seq 100); do
        ! ls -l /proc/$agent/fd 2>/dev/null | grep -q "$port\$" || return 0
        sleep 0.2
    done
    cat /run/agent.log
    return 1
}

agent_signal() { kill -"$1" "$agent"; }
