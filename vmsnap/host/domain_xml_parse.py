"""Read a domain's XML into a Definition."""

import re
from pathlib import Path

from lxml import etree

from vmsnap.errors import UnsupportedError
from vmsnap.host.fence import FENCE_PATH, is_fence
from vmsnap.model import (
    Definition,
    DiskDefinition,
    DomainId,
    NvramDefinition,
    TpmDefinition,
)

_PLAIN_ID = re.compile("[0-9a-z][0-9a-z-]*")

SOURCE_ATTRIBUTES = {"file": "file", "block": "dev", "dir": "dir"}


def load(xml: str) -> etree._ElementTree:
    """Parse a domain's XML without resolving or fetching anything.

    Raises UnsupportedError if it is not well-formed, has a DTD or is no domain. The message holds
    none of its text: definitions hold passwords.
    """
    tree = parse(xml, "the domain's definition")
    if tree.getroot().tag != "domain":
        raise UnsupportedError("the XML is not the definition of a domain")
    return tree


def parse(xml: str, what: str) -> etree._ElementTree:
    """Parse any XML of libvirt's as `load` does; `what` it is, for messages."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        strip_cdata=False,
        huge_tree=False,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(xml.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError):
        # The parser quotes the line that it stumbled over, so its error is not chained.
        raise UnsupportedError(f"{what} is not well-formed XML") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise UnsupportedError(f"{what} has a document type declaration")
    return tree


def disk_elements(root: etree._Element) -> dict[str, etree._Element]:
    """Return the `<disk>` elements by target, in their order; the fence is not among them."""
    return {
        target: disk
        for disk in root.iterfind("devices/disk")
        if (target := target_of(disk)) and not is_fence(disk)
    }


def target_of(disk: etree._Element) -> str:
    """Return the target of a `<disk>`, such as vda."""
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def read_definition(root: etree._Element, nvram_folder: Path, swtpm_folder: Path) -> Definition:
    """Read what vmsnap needs to know of a definition; the fence is not among its disks.

    The folders are where libvirt puts what the definition gives no path for. Raises
    UnsupportedError if name or UUID are missing.
    """
    name = root.findtext("name") or ""
    domain_id = DomainId((root.findtext("uuid") or "").strip().lower())
    if not name or not domain_id:
        raise UnsupportedError("the domain's definition has no name or no UUID")
    if "/" in name or not _PLAIN_ID.fullmatch(domain_id):
        # Names of files are made of both, and libvirt allows neither.
        raise UnsupportedError("the domain's name has a '/' or its UUID is none")
    firmware = _firmware(root)
    return Definition(
        id=domain_id,
        name=name,
        firmware=firmware,
        secure_boot=_secure_boot(root) if firmware == "uefi" else False,
        nvram=_nvram(root, nvram_folder / f"{name}_VARS.fd"),
        tpm=_tpm(root, swtpm_folder / domain_id),
        disks=tuple(_disk(target, disk) for target, disk in disk_elements(root).items()),
        is_fenced=any(source_path(disk) == FENCE_PATH for disk in root.iterfind("devices/disk")),
    )


def source_path(disk: etree._Element) -> Path | None:
    """Return the local path of a disk's source, None for empty drives and other sources."""
    source = disk.find("source")
    attribute = SOURCE_ATTRIBUTES.get(disk.get("type", "file"))
    if source is None or attribute is None:
        return None
    path = source.get(attribute)
    return Path(path) if path else None


def _volume(disk: etree._Element) -> tuple[str, str] | None:
    source = disk.find("source")
    if source is None or disk.get("type") != "volume":
        return None
    return source.get("pool", ""), source.get("volume", "")


def _disk(target: str, disk: etree._Element) -> DiskDefinition:
    driver = disk.find("driver")
    source_type = disk.get("type", "file")
    if disk.find("source/slices") is not None:
        # A part of a file is none of the types that can be taken, so it is refused by this name.
        source_type = "slice"
    return DiskDefinition(
        target=target,
        device=disk.get("device", "disk"),
        source_type=source_type,
        path=source_path(disk),
        format=None if driver is None else driver.get("type"),
        is_read_only=disk.find("readonly") is not None,
        is_shareable=disk.find("shareable") is not None,
        is_encrypted=any(
            disk.find(place) is not None for place in ("encryption", "source/encryption")
        ),
        is_transient=disk.find("transient") is not None,
        snapshot_mode=disk.get("snapshot"),
        volume=_volume(disk),
    )


def _firmware(root: etree._Element) -> str:
    automatic = root.find("os[@firmware]")
    if automatic is not None:
        return "uefi" if automatic.get("firmware") == "efi" else "bios"
    is_uefi = any(
        root.find(place) is not None
        for place in ("os/nvram", "os/varstore", "os/loader[@type='pflash']")
    )
    return "uefi" if is_uefi else "bios"


def _secure_boot(root: etree._Element) -> bool | None:
    feature = root.find("os/firmware/feature[@name='secure-boot']")
    if feature is not None:
        return feature.get("enabled") == "yes"
    loader = root.find("os/loader")
    if loader is None:
        # libvirt 9 with <os firmware='efi'> chooses the build when the domain starts.
        return None
    return loader.get("secure") == "yes"


def _nvram(root: etree._Element, default: Path) -> NvramDefinition | None:
    store = root.find("os/varstore")
    if store is not None:
        path = store.get("path")
        return NvramDefinition("varstore", Path(path) if path else None)
    nvram = root.find("os/nvram")
    if nvram is None:
        return _unnamed_nvram(root, default)
    kind = nvram.get("type", "file")
    store_format = nvram.get("format", "raw")
    named = _nvram_path(nvram, kind)
    if named is None and kind == "file":
        return NvramDefinition(kind, default, store_format, is_derived=True)
    return NvramDefinition(kind, named, store_format)


def _nvram_path(nvram: etree._Element, kind: str) -> Path | None:
    source = nvram.find("source")
    if source is not None:
        path = source.get(SOURCE_ATTRIBUTES.get(kind, "file"))
    else:
        path = (nvram.text or "").strip()
    return Path(path) if path else None


def _unnamed_nvram(root: etree._Element, default: Path) -> NvramDefinition | None:
    """Return the variable store that libvirt makes although the definition names none."""
    derived = NvramDefinition("file", default, is_derived=True)
    loader = root.find("os/loader")
    if loader is not None:
        if loader.get("stateless") == "yes" or loader.get("type") == "rom":
            return None
        if loader.get("type") == "pflash" and loader.get("readonly") != "yes":
            # The guest writes its variables into the firmware image itself.
            return NvramDefinition("loader", Path((loader.text or "").strip()))
        if loader.get("type") == "pflash":
            return derived
    return derived if root.find("os[@firmware='efi']") is not None else None


def _tpm(root: etree._Element, folder: Path) -> TpmDefinition | None:
    tpm = root.find("devices/tpm")
    if tpm is None:
        return None
    backend = tpm.find("backend")
    if backend is None:
        raise UnsupportedError("the domain's TPM has no backend")
    kind = backend.get("type", "")
    version = _tpm_version(root, tpm, backend)
    if kind != "emulator":
        return TpmDefinition(kind, version, None)
    source = backend.find("source[@path]")
    encryption = backend.find("encryption")
    own_path = None if source is None else source.get("path")
    return TpmDefinition(
        backend=kind,
        version=version,
        path=Path(own_path) if own_path else folder / f"tpm{version.removesuffix('.0')}",
        source_type=None if source is None else source.get("type"),
        secret_id=None if encryption is None else encryption.get("secret"),
    )


def _tpm_version(root: etree._Element, tpm: etree._Element, backend: etree._Element) -> str:
    version = backend.get("version")
    if version:
        return version
    # libvirt writes the version when it defines an emulator. Where it did not: tpm-tis, its
    # default model, means 1.2 on x86, and everything else 2.0.
    machine = root.find("os/type")
    arch = "" if machine is None else machine.get("arch", "")
    is_x86 = arch in {"x86_64", "i686"}
    return "1.2" if is_x86 and tpm.get("model", "tpm-tis") == "tpm-tis" else "2.0"
