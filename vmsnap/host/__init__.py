"""The KVM host: libvirt, domain XML, images, host files, locks and journal files."""
