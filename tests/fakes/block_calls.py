"""What libvirt's block calls leave of a disk's chain and of the definitions."""

import copy
from pathlib import Path

from lxml import etree

from vmsnap.errors import LibvirtError
from vmsnap.ports import LiveMerge, MergeKind


def after_merge(chain: tuple[Path, ...], order: LiveMerge) -> tuple[Path, ...]:
    """Return the chain that a block job leaves; one that did its work already changes nothing."""
    is_active = chain[0] == order.top
    below = chain[chain.index(order.base) :] if order.base in chain else ()
    if order.kind is MergeKind.COMMIT_ACTIVE and chain[0] == order.base:
        return chain
    if order.kind is MergeKind.COMMIT and order.top not in chain and len(below) < len(chain):
        return chain
    if (
        order.top not in chain
        or is_active is (order.kind is MergeKind.COMMIT)
        or (order.base is not None and order.base not in chain[chain.index(order.top) + 1 :])
    ):
        message = f"disk '{order.target}' does not use '{order.top}' in this way"
        raise LibvirtError(message)
    if order.kind is MergeKind.PULL:
        return (chain[0], *below)
    return (*chain[: chain.index(order.top)], *below)


def with_backing(xml: str, before: str, target: str) -> str:
    """Leave what libvirt leaves in the inactive definition when it switches a running domain."""
    root, old = etree.fromstring(xml.encode()), etree.fromstring(before.encode())
    place = f"devices/disk/target[@dev='{target}']/.."
    new_disk, old_disk = root.find(place), old.find(place)
    if new_disk is None or old_disk is None:
        return xml
    chain = etree.SubElement(new_disk, "backingStore", type=old_disk.get("type", "file"))
    driver = old_disk.find("driver")
    if driver is not None:
        etree.SubElement(chain, "format", type=driver.get("type", "raw"))
    source = old_disk.find("source")
    if source is not None:
        chain.append(copy.deepcopy(source))
    return etree.tostring(root, encoding="unicode")
