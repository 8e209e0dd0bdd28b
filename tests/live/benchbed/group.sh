#!/bin/bash
# What a good administrator would write in place of vmsnap: a group of a domain that is shut off.
#
#     group.sh FOLDER NAME DOMAIN...        FOLDER keeps groups.db and the files that it names
#
# It does the whole job of `vmsnap snapshot create`, as far as a script can: overlays 0600 beside the
# images, one atomic switch of all disks, NVRAM, TPM state and definition with their digests, the
# proof that neither moved meanwhile, rows in SQLite, and all of it on the disk at the end. It has no
# way back from where it fails, and asks nobody who else uses the images.
set -euo pipefail
umask 077
folder=$1 name=$2
shift 2

value() { # value KEY: a text of qemu-img's JSON
    sed -n "s/^    \"$1\": \"\(.*\)\".*/\1/p"
}

create() {
    local domain=$1 group kept id nvram tpm target image overlay format disks='' rows='' made=()
    group=$(cat /proc/sys/kernel/random/uuid)
    kept="$folder/$group"
    mkdir "$kept"

    [ "$(virsh domstate "$domain")" = 'shut off' ] || { echo "$domain is not off" >&2; exit 1; }
    virsh dumpxml --inactive --security-info "$domain" >"$kept/domain.xml"
    id=$(sed -n 's:^  <uuid>\(.*\)</uuid>$:\1:p' "$kept/domain.xml")
    nvram=$(sed -n 's:.*<nvram[^>]*>\(.*\)</nvram>.*:\1:p' "$kept/domain.xml")
    tpm="/var/lib/libvirt/swtpm/$id"

    while read -r _ _ target image; do
        overlay="$(dirname "$image")/$target.$group.qcow2"
        format=$(qemu-img info --output=json "$image" | value format)
        qemu-img create -q -f qcow2 -F "$format" -b "$image" "$overlay"
        chown --reference="$image" "$overlay"
        chmod 600 "$overlay"
        made+=("$overlay" "$(dirname "$overlay")")
        disks+="<disk name='$target' snapshot='external' type='file'>"
        disks+="<driver type='qcow2'/><source file='$overlay'/></disk>"
        rows+="INSERT INTO layer VALUES ('$group', '$target', '$image', '$overlay');"
    done < <(virsh -q domblklist --details --inactive "$domain" | grep '^ *file *disk ')
    sync "${made[@]}"

    cp --preserve=all "$nvram" "$kept/nvram"
    tar --create --xattrs --file "$kept/tpm.tar" --directory "$tpm" .
    echo "<domainsnapshot><disks>$disks</disks></domainsnapshot>" >"$kept/snapshot.xml"
    virsh -q snapshot-create "$domain" "$kept/snapshot.xml" \
        --disk-only --atomic --no-metadata --reuse-external >/dev/null
    cmp -s "$nvram" "$kept/nvram"
    tar --compare --file "$kept/tpm.tar" --directory "$tpm" >/dev/null

    while read -r digest image; do
        rows+="INSERT INTO content VALUES ('$group', '${image##*/}', '$digest');"
    done < <(sha256sum "$kept/domain.xml" "$kept/nvram" "$kept/tpm.tar")
    sync "$kept"/* "$kept" "$folder" /etc/libvirt/qemu
    sqlite3 "$folder/groups.db" "
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS snapshot_group (uuid PRIMARY KEY, domain, name, made, UNIQUE (domain, name));
        CREATE TABLE IF NOT EXISTS layer (uuid, target, image, overlay);
        CREATE TABLE IF NOT EXISTS content (uuid, file, sha256);
        BEGIN IMMEDIATE;
        INSERT INTO snapshot_group VALUES ('$group', '$id', '$name', datetime('now'));
        $rows
        COMMIT;" >/dev/null
}

for domain in "$@"; do
    create "$domain"
done
