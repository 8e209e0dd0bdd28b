"""Write the XML with which libvirt is asked to switch disks to their overlays."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lxml import etree

from vmsnap.errors import LibvirtError


def switch_request(targets: Collection[str], overlays: Mapping[str, Path]) -> str:
    """Return a `<domainsnapshot>` for the overlays that leaves all other targets alone.

    `targets` are those of all disks: libvirt would take every one that is not listed. Raises
    LibvirtError if there is an overlay for another one.
    """
    unknown = sorted(set(overlays) - set(targets))
    if unknown:
        raise LibvirtError(f"the domain has no disk '{unknown[0]}'")
    root = etree.Element("domainsnapshot")
    disks = etree.SubElement(root, "disks")
    for target in sorted(targets):
        if target not in overlays:
            etree.SubElement(disks, "disk", {"name": target, "snapshot": "no"})
            continue
        disk = etree.SubElement(
            disks, "disk", {"name": target, "snapshot": "external", "type": "file"}
        )
        etree.SubElement(disk, "driver", {"type": "qcow2"})
        etree.SubElement(disk, "source", {"file": str(overlays[target])})
    return etree.tostring(root, encoding="unicode")
