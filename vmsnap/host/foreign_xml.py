"""Read the XML of libvirt's own snapshots: internal or external, and the files they need."""

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from vmsnap.host.domain_xml_parse import disk_elements, parse, source_path
from vmsnap.model import ForeignSnapshot


def foreign_snapshot(xml: str) -> ForeignSnapshot:
    """Read a `<domainsnapshot>`; one of which any disk or the RAM is external counts as external.

    Its disks are those that it does not leave out, with the files that the domain had then. Raises
    UnsupportedError if it cannot be read.
    """
    root = parse(xml, "the XML of a snapshot of libvirt's").getroot()
    kinds = {item.get("name"): item.get("snapshot") for item in root.iterfind("disks/disk")}
    kinds_of_all = {*kinds.values(), *(item.get("snapshot") for item in root.iterfind("memory"))}
    held = {name for name, kind in kinds.items() if kind in {"internal", "external"}}
    return ForeignSnapshot(
        name=root.findtext("name") or "",
        is_external="external" in kinds_of_all,
        kept_paths=tuple(dict.fromkeys(_paths_kept(root, held))),
        made_paths=tuple(_paths_made(root)),
    )


def _paths_kept(root: etree._Element, targets: set[str | None]) -> Iterator[Path]:
    for place in ("domain", "inactiveDomain"):
        domain = root.find(place)
        for target, disk in disk_elements(domain).items() if domain is not None else ():
            path = source_path(disk)
            if target in targets and path is not None:
                yield path


def _paths_made(root: etree._Element) -> Iterator[Path]:
    for disk in root.iterfind("disks/disk[@snapshot='external']"):
        path = source_path(disk)
        if path is not None:
            yield path
    for memory in root.iterfind("memory[@file]"):
        yield Path(memory.get("file", ""))
