# UEFI variables of the guest.

# OVMF refuses names that it does not know under the global vendor GUID, so this one is our own.
variable_file() { printf %s "/sys/firmware/efi/efivars/$1-6f1a0c52-7b1e-4c39-9d53-2f6b8f0a41d7"; }

unlock_variable() { # the kernel makes unknown variables immutable
    file=$(variable_file "$1")
    [ ! -e "$file" ] || chattr -i "$file"
}

set_variable() {
    # Four bytes of attributes (non-volatile, boot and runtime access), then the value, in one write.
    { printf '\007\000\000\000'; printf %s "$2"; } >/value
    dd if=/value of="$(variable_file "$1")" bs=4096 count=1 2>/dev/null
}

variable_value() {
    file=$(variable_file "$1")
    [ -e "$file" ] && tail -c +5 "$file"
}
