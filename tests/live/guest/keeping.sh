# Orders that give a word to keep, and look whether it is still there.
#
#   write WORD   seal WORD in the TPM, set the UEFI variable to it, fill the start of vda and vdb with it
#   destroy      clear the TPM, overwrite the variable and both disks
#   read         print one line: RESULT secret=… variable=… vda=… vdb=…   ('-': there is none)

variable=VmsnapTest
handle=0x81000001
length=1048576

seal() {
    printf %s "$1" >/secret
    tpm2 evictcontrol -Q -C o -c $handle 2>/dev/null
    tpm2 createprimary -Q -C o -G ecc -c /primary &&
        tpm2 create -Q -C /primary -i /secret -u /public -r /private &&
        tpm2 load -Q -C /primary -u /public -r /private -c /sealed &&
        tpm2 evictcontrol -Q -C o -c /sealed $handle
}

overwrite_variable() { unlock_variable $variable && set_variable $variable "$1"; }

fill() {
    yes "$2" | head -c $length | dd of="/dev/$1" bs=65536 conv=notrunc,fsync iflag=fullblock 2>/dev/null
}

write_all() {
    ! has_tpm || seal "$1" || return 1
    ! has_efi || overwrite_variable "$1" || return 1
    for disk in $(disks); do fill "$disk" "$1" || return 1; done
}

forget() { # tpm2-tools 5.8 say that they have cleared the TPM, and have not
    tpm2 evictcontrol -Q -C o -c $handle 2>/dev/null
    tpm2 clear -Q -c l
}

destroy_all() {
    ! has_tpm || forget || return 1
    ! has_efi || overwrite_variable destroyed || return 1
    for disk in $(disks); do fill "$disk" destroyed || return 1; done
}

unsealed() { has_tpm && tpm2 unseal -Q -c $handle -o /unsealed 2>/dev/null && cat /unsealed; }

pattern() { # the word that the start of the disk is filled with, or "damaged" if not all of it
    first=$(head -c 64 "/dev/$1" | tr '\000' '\n' | head -n 1)
    [ -n "$first" ] || return
    expected=$(yes "$first" | head -c $length | md5sum)
    [ "$(head -c $length "/dev/$1" | md5sum)" = "$expected" ] && printf %s "$first" || printf damaged
}

read_all() {
    result="secret=$(unsealed | one_word) variable=$(variable_value $variable | one_word)"
    for disk in $(disks); do result="$result $disk=$(pattern "$disk" | one_word)"; done
    echo "RESULT $result"
}
