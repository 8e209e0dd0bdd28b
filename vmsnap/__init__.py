"""vmsnap: snapshot groups of disks, NVRAM and virtual TPM for libvirt machines."""

__version__ = "0.1.0"
