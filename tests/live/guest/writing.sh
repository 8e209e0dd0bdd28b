# Orders for a guest that writes all the time, so that it can be seen whether a state is of one instant.
#
#   writer [COUNT]        write n = 1, 2, 3 … one after the other to: the start and the end of a region
#                         of vda, of vdb (and so on), the UEFI variable, an index of the TPM's NV memory.
#                         Prints "SEQ n" after each. Without COUNT it goes on beside all later orders.
#   writer-disks [COUNT]  the same, disks alone
#   numbers               print one line: RESULT vda=… vda.end=… vdb=… vdb.end=… variable=… nv=…
#
# Each is on its medium before the next is written. So at any instant they are ordered as `numbers`
# prints them, and the last is the first or one less. Where file systems are mounted, n goes to a
# file of the first before all else: while it is frozen, the writer stands still.

number_variable=VmsnapNumber
nv_index=0x1500016
number_length=10
region_start=98304 # sectors: 48 MiB
region_end=100351  # the last sector of 1 MiB

put_number() { dd if=/number of="/dev/$1" bs=512 seek="$2" conv=notrunc,sync,fsync 2>/dev/null; }
disk_number() { dd if="/dev/$1" bs=512 skip="$2" count=1 2>/dev/null | one_word; }

nv_number() { has_tpm && tpm2 nvread -C o $nv_index 2>/dev/null | one_word || printf -; }

variable_step() { ! has_efi || set_variable $number_variable "$1"; }
tpm_step() { ! has_tpm || tpm2 nvwrite -Q -C o -i /number $nv_index; }

# What is not there yet becomes 0. The kernel locks a variable as soon as there is one.
prepare_variable() {
    has_efi || return 0
    [ -n "$(variable_value $number_variable)" ] || variable_step 0
    unlock_variable $number_variable
}

prepare_tpm() {
    has_tpm && [ "$(nv_number)" = - ] || return 0
    # Fails where it was defined and then never written.
    tpm2 nvdefine -Q -C o -s $number_length -a "ownerread|ownerwrite|no_da" $nv_index 2>/dev/null
    set_number 0
    tpm_step
}

set_number() { printf "%-${number_length}d" "$1" >/number; }

write_step() { # write_step WHERE N
    set_number "$2"
    [ ! -d /mnt/vda ] || dd if=/number of=/mnt/vda/number conv=fsync 2>/dev/null || return 1
    for disk in $written_disks; do
        put_number "$disk" $region_start && put_number "$disk" $region_end || return 1
    done
    [ "$1" = all ] || return 0
    variable_step "$2" && tpm_step
}

write_steps() { # write_steps WHERE FIRST LAST
    n=$2
    while [ "$n" -le "$3" ]; do
        write_step "$1" "$n" || { echo "FAILED writer at $n"; return 1; }
        echo "SEQ $n"
        n=$((n + 1))
    done
}

writer() { # writer WHERE [COUNT]
    written_disks=$(disks)
    [ "$1" != all ] || { prepare_variable && prepare_tpm; } || return 1
    # The last step may have been cut off: it is done again, else the media would be two apart.
    first=$(disk_number vda $region_start)
    [ "$first" != - ] || first=1
    if [ -n "$2" ]; then
        write_steps "$1" "$first" $((first + $2 - 1))
    else
        write_steps "$1" "$first" 999999999 &
    fi
}

numbers() {
    result=
    for disk in $(disks); do
        result="$result $disk=$(disk_number "$disk" $region_start)"
        result="$result $disk.end=$(disk_number "$disk" $region_end)"
    done
    echo "RESULT$result variable=$(variable_value $number_variable | one_word) nv=$(nv_number)"
}
