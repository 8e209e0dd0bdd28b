"""vmsnap: snapshot groups of disks, NVRAM and virtual TPM for libvirt machines."""
