"""Patching and comparing definitions: what is not asked for stays."""

from pathlib import Path

import pytest
from fakes.domain_xml import ID, XML, domain_xml
from lxml import etree

from vmsnap.errors import UnsupportedError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.fence import FENCE_PATH


@pytest.fixture
def definitions() -> XmlDefinitions:
    return XmlDefinitions(Path("/nvram"), Path("/swtpm"))


def without_chains(xml: str) -> str:
    start = xml.index("      <backingStore")
    end = xml.index("</backingStore>\n") + len("</backingStore>\n")
    return xml[:start] + xml[end:]


def c14n(xml: str) -> str:
    return etree.tostring(etree.fromstring(xml), method="c14n").decode()


def disk(xml: str, target: str) -> etree._Element:
    found = etree.fromstring(xml).find(f"devices/disk/target[@dev='{target}']/..")
    assert found is not None
    return found


def test_what_is_not_asked_for_stays_to_the_letter(definitions):
    """H53, H58: only `<backingStore>` goes; the metadata of other programs is not touched."""
    patched = definitions.with_sources(XML, {})
    assert c14n(patched) == c14n(without_chains(XML))
    start, end = XML.index("<metadata>"), XML.index("</metadata>")
    assert XML[start:end] in patched


def test_a_disk_gets_another_file_and_format_and_keeps_the_rest(definitions):
    patched = definitions.with_sources(XML, {"vda": (Path("/o.raw"), "raw")})
    expected = without_chains(XML).replace("/images/web1.qcow2", "/o.raw")
    expected = expected.replace("type='qcow2' discard", "type='raw' discard")
    assert c14n(patched) == c14n(expected)


def test_a_block_device_becomes_a_file_and_a_block_device_again(definitions):
    xml = domain_xml(
        devices="<disk type='block'><driver type='raw'/><source dev='/dev/sdb'/>"
        "<target dev='vda'/></disk>"
    )
    as_file = definitions.with_sources(xml, {"vda": (Path("/o.qcow2"), "qcow2")})
    assert disk(as_file, "vda").get("type") == "file"
    assert definitions.parse(as_file).disks[0].path == Path("/o.qcow2")
    again = definitions.with_sources(as_file, {"vda": (Path("/dev/sdb"), "raw")})
    assert c14n(again) == c14n(xml)


def test_a_disk_that_is_not_there_gets_no_file(definitions):
    with pytest.raises(UnsupportedError, match="no disk 'vdz'"):
        definitions.with_sources(XML, {"vdz": (Path("/o"), "raw")})


def test_a_path_with_markup_in_it_stays_a_path(definitions):
    path = Path("/images/a&b<c>'d\"e.qcow2")
    patched = definitions.with_sources(XML, {"vda": (path, "qcow2")})
    assert definitions.parse(patched).disks[0].path == path


def test_the_name_is_changed_alone(definitions):
    patched = definitions.with_name(XML, "数据库 <1>")
    assert definitions.parse(patched).name == "数据库 <1>"
    assert c14n(definitions.with_name(patched, "web1")) == c14n(without_chains(XML))


def test_disks_are_replaced_added_and_removed(definitions):
    """H43: one was detached since, another attached."""
    now = domain_xml(
        devices="<disk><source file='/a2'/><target dev='vda'/></disk>"
        "<disk><source file='/c'/><target dev='vdc'/></disk>"
        "<disk><source file='/x'/><target dev='vdx'/></disk>"
    )
    then = domain_xml(
        devices="<disk><source file='/a'/><backingStore/><target dev='vda'/></disk>"
        "<disk><source file='/b'/><target dev='vdb'/></disk>"
        "<disk><source file='/x1'/><target dev='vdx'/></disk>"
    )
    patched = definitions.with_disks_of(now, then, ["vda", "vdb", "vdc"])
    paths = {disk.target: disk.path for disk in definitions.parse(patched).disks}
    assert paths == {"vda": Path("/a"), "vdb": Path("/b"), "vdx": Path("/x")}
    assert "backingStore" not in patched


def test_a_returning_disk_gives_up_an_address_and_boot_order_that_are_taken(definitions):
    address = "<address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x0'/>"
    nic = f"<interface type='user'><boot order='1'/>{address}</interface>"
    patched = definitions.with_disks_of(domain_xml(devices=nic), XML, ["vda"])
    returned = disk(patched, "vda")
    assert returned.find("address") is None
    assert returned.find("boot") is None
    assert definitions.parse(patched).disks[0].path == Path("/images/web1.qcow2")


def test_a_returning_disk_keeps_an_address_that_is_free(definitions):
    patched = definitions.with_disks_of(domain_xml(), XML, ["vda", "sda"])
    assert disk(patched, "vda").find("address") is not None
    assert disk(patched, "sda").find("address") is not None


def test_the_saved_machine_is_held_by_its_first_fixed_disk(definitions):
    """H27: a drive whose medium is missing would be started empty."""
    devices = (
        "<disk device='cdrom'><source file='/cd.iso' startupPolicy='optional'/>"
        "<target dev='sda'/></disk>"
        "<disk><source file='/a' startupPolicy='optional'/><target dev='vda'/></disk>"
    )
    xml = definitions.with_missing_source(domain_xml(devices=devices))
    source = disk(xml, "vda").find("source")
    assert source is not None
    assert dict(source.attrib) == {"file": str(FENCE_PATH)}
    assert definitions.parse(xml).is_fenced
    assert definitions.parse(xml).disks[0].path == Path("/cd.iso")


def test_a_saved_machine_with_a_block_device_is_held_by_that(definitions):
    devices = "<disk type='block'><source dev='/dev/sdb'/><target dev='vda'/></disk>"
    xml = definitions.with_missing_source(domain_xml(devices=devices))
    assert definitions.parse(xml).disks[0].path == FENCE_PATH


def test_a_saved_machine_without_disks_cannot_be_held(definitions):
    with pytest.raises(UnsupportedError, match="disk"):
        definitions.with_missing_source(domain_xml())


# --- comparing ---------------------------------------------------------------------------------


def test_fence_name_backing_chains_and_white_space_do_not_matter(definitions):
    other = definitions.with_fence(definitions.with_name(XML, "web2")).replace("    <", "<")
    assert definitions.same(XML, other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("65536", "131072"),
        ("passwd='secret'", "passwd='other'"),
        ("/images/web1.qcow2", "/images/web2.qcow2"),
        ("two  blanks", "two  blanks more"),
        (ID, ID.replace("6", "7")),
    ],
)
def test_everything_else_matters(definitions, old, new):
    assert not definitions.same(XML, XML.replace(old, new))


def test_an_image_in_shared_memory_stays_a_file(definitions):
    """It lies below /dev, but is no device."""
    path = Path("/dev/shm/web.qcow2")  # noqa: S108 no file is made there
    patched = definitions.with_sources(XML, {"vda": (path, "qcow2")})
    assert disk(patched, "vda").get("type") == "file"
    assert definitions.parse(patched).disks[0].path == path
