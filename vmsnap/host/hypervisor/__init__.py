"""Talk to libvirt: the only folder that imports it."""

from vmsnap.host.hypervisor.adapter import LibvirtHypervisor

__all__ = ["LibvirtHypervisor"]
