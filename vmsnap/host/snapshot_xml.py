"""Write the XML with which libvirt is asked to switch disks to their overlays."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lxml import etree


def switch_request(targets: Iterable[str], overlays: Mapping[str, Path]) -> str:
    """Return a `<domainsnapshot>` for the overlays that leaves all other targets alone.

    libvirt would take every disk that is not listed.
    """
    root = etree.Element("domainsnapshot")
    disks = etree.SubElement(root, "disks")
    for target in sorted({*targets, *overlays}):
        if target not in overlays:
            etree.SubElement(disks, "disk", {"name": target, "snapshot": "no"})
            continue
        disk = etree.SubElement(
            disks, "disk", {"name": target, "snapshot": "external", "type": "file"}
        )
        etree.SubElement(disk, "driver", {"type": "qcow2"})
        etree.SubElement(disk, "source", {"file": str(overlays[target])})
    return etree.tostring(root, encoding="unicode")
