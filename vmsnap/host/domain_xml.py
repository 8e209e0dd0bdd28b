"""Patch a domain's XML and compare it, leaving all that was not asked for as it is."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from lxml import etree

from vmsnap.errors import UnsupportedError
from vmsnap.host.domain_xml_parse import disk_elements, load, read_definition
from vmsnap.host.fence import FENCE_PATH, add_fence, remove, remove_fence
from vmsnap.host.libvirt_folders import folders_of
from vmsnap.host.shown_xml import shown_lines
from vmsnap.model import Definition, is_device_path

Meaning: TypeAlias = "tuple[str, tuple[tuple[str, str], ...], str, tuple[Meaning, ...]]"
"""Tag, sorted attributes, text and children: what white space and comments do not change."""


class XmlDefinitions:
    """The Definitions port over lxml.

    The folders are where libvirt puts NVRAM and TPM state that a definition gives no path for.
    """

    def __init__(self, nvram_folder: Path, swtpm_folder: Path) -> None:
        self._nvram_folder = nvram_folder
        self._swtpm_folder = swtpm_folder

    @classmethod
    def for_uri(cls, uri: str) -> "XmlDefinitions":
        """Return one with the default folders of the daemon behind a connection URI."""
        folders = folders_of(uri)
        return cls(folders.nvram, folders.swtpm)

    def parse(self, xml: str) -> Definition:
        """Read a domain's XML; the fence is not among the disks."""
        return read_definition(load(xml).getroot(), self._nvram_folder, self._swtpm_folder)

    def with_sources(self, xml: str, sources: Mapping[str, tuple[Path, str]]) -> str:
        """Give the disks of these targets another file (path, format).

        A path below /dev, but not its shm, is taken for a block device. Raises UnsupportedError if
        there is no such disk.
        """
        tree = load(xml)
        disks = disk_elements(tree.getroot())
        for target, (path, format_) in sources.items():
            if target not in disks:
                raise UnsupportedError(f"the domain has no disk '{target}'")
            with _fit_for_xml(f"path {str(path)!r}"):
                _set_source(disks[target], path, format_)
        return _dump(tree)

    def with_disks_of(self, xml: str, other_xml: str, targets: Sequence[str]) -> str:
        """Replace the disks of these targets by `other_xml`'s.

        A target that only `xml` has is removed, one that only `other_xml` has is added. Where a
        device of `xml` has come to use a returning disk's address or place in the boot order, the
        disk gives it up: libvirt chooses another address.
        """
        tree = load(xml)
        root = tree.getroot()
        mine = disk_elements(root)
        theirs = disk_elements(load(other_xml).getroot())
        returning = []
        for target in targets:
            disk = copy.deepcopy(theirs[target]) if target in theirs else None
            _exchange(root, mine.get(target), disk)
            if disk is not None:
                returning.append(disk)
        for disk in returning:
            _give_way(root, disk)
        return _dump(tree)

    def with_name(self, xml: str, name: str) -> str:
        """Give the domain another name."""
        tree = load(xml)
        element = tree.getroot().find("name")
        if element is None:
            raise UnsupportedError("the domain's definition has no name")
        with _fit_for_xml(f"name {name!r}"):
            element.text = name
        return _dump(tree)

    def with_fence(self, xml: str) -> str:
        """Add the fence: a read-only disk whose file does not exist. Once, if called twice."""
        tree = load(xml)
        add_fence(tree.getroot())
        return _dump(tree)

    def without_fence(self, xml: str) -> str:
        """Take the fence away; without one nothing else is changed."""
        tree = load(xml)
        remove_fence(tree.getroot())
        return _dump(tree)

    def with_missing_source(self, xml: str) -> str:
        """Point the first disk with a file at the fence's path (for a managed-save image).

        A machine without such a disk has another one pointed there, whatever its source is.
        Raises UnsupportedError for a machine without any disk.
        """
        tree = load(xml)
        disks = list(disk_elements(tree.getroot()).values())
        if not disks:
            raise UnsupportedError("the domain has no disk by which its saved state could be held")
        # A drive with a medium would be started empty if its file is missing.
        fixed = [disk for disk in disks if disk.get("device", "disk") in {"disk", "lun"}] or disks
        disk = next((disk for disk in fixed if disk.find("source[@file]") is not None), fixed[0])
        _set_source(disk, FENCE_PATH, None)
        source = disk.find("source")
        if source is not None and "startupPolicy" in source.attrib:
            del source.attrib["startupPolicy"]
        return _dump(tree)

    def shown_lines(self, xml: str) -> tuple[str, ...]:
        """Return a definition as lines for people: indented, passwords and the like hidden."""
        return shown_lines(xml)

    def same(self, xml: str, other_xml: str) -> bool:
        """Tell whether two definitions mean the same, apart from fence, name and backingStore."""
        return _comparable(xml) == _comparable(other_xml)


@contextmanager
def _fit_for_xml(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        # What an image's header says of its backing file may be any bytes.
        raise UnsupportedError(f"the {what} cannot stand in a definition") from error


def _dump(tree: etree._ElementTree) -> str:
    for chain in tree.getroot().findall("devices/disk/backingStore"):
        remove(chain)
    return etree.tostring(tree, encoding="unicode")


def _set_source(disk: etree._Element, path: Path, format_: str | None) -> None:
    source_type, attribute = ("block", "dev") if is_device_path(path) else ("file", "file")
    source = disk.find("source")
    if source is None:
        source = etree.Element("source")
        disk.insert(0, source)
    elif disk.get("type", "file") != source_type:
        tail = source.tail
        source.clear()
        source.tail = tail
    disk.set("type", source_type)
    source.set(attribute, str(path))
    driver = disk.find("driver")
    if driver is not None and format_ is not None:
        driver.set("type", format_)
    elif format_ is not None:
        disk.insert(0, etree.Element("driver", {"name": "qemu", "type": format_}))


def _exchange(root: etree._Element, old: etree._Element | None, new: etree._Element | None) -> None:
    """Put a disk into another's place, add it behind the last one, or take the old one away."""
    if old is None and new is not None:
        _append_disk(root, new)
    if old is not None and new is not None:
        new.tail = old.tail
        old.addprevious(new)
    if old is not None:
        remove(old)


def _append_disk(root: etree._Element, disk: etree._Element) -> None:
    devices = root.find("devices")
    if devices is None:
        devices = etree.SubElement(root, "devices")
    disks = devices.findall("disk")
    if disks:
        disk.tail = disks[-1].tail
        devices.insert(devices.index(disks[-1]) + 1, disk)
        return
    disk.tail = devices.text
    devices.insert(0, disk)


def _give_way(root: etree._Element, disk: etree._Element) -> None:
    """Take from a disk the address and the place in the boot order that another device has."""
    others = [device for device in root.iterfind("devices/*") if device is not disk]
    address = disk.find("address")
    if address is not None and _address(disk) in {_address(other) for other in others}:
        remove(address)
    boot = disk.find("boot")
    if boot is not None and boot.get("order") in {
        other.get("order") for other in root.iterfind("devices/*/boot") if other is not boot
    }:
        remove(boot)


def _address(device: etree._Element) -> tuple[str, ...] | None:
    address = device.find("address")
    if address is None:
        return None
    target = device.find("target")
    is_drive = address.get("type") == "drive"
    bus = target.get("bus", "") if is_drive and target is not None else ""
    parts = sorted((str(name), str(value)) for name, value in address.items())
    return (bus, *(f"{name}={value}" for name, value in parts if name != "multifunction"))


def _comparable(xml: str) -> Meaning:
    root = load(xml).getroot()
    remove_fence(root)
    for element in [*root.findall("name"), *root.findall("devices/disk/backingStore")]:
        remove(element)
    return _meaning(root)


def _meaning(element: etree._Element) -> Meaning:
    return (
        element.tag,
        tuple(sorted((str(name), str(value)) for name, value in element.items())),
        "".join([element.text or "", *(child.tail or "" for child in element)]).strip(),
        tuple(_meaning(child) for child in element.iterchildren("*")),
    )
