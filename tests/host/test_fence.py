"""Where the fence goes, and that it goes without a trace."""

from pathlib import Path

import pytest
from fakes.domain_xml import ID, XML, domain_xml
from lxml import etree

from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.fence import FENCE_PATH


@pytest.fixture
def definitions() -> XmlDefinitions:
    return XmlDefinitions(Path("/nvram"), Path("/swtpm"))


def test_the_fence_is_added_once_and_taken_away_without_a_trace(definitions):
    fenced = definitions.with_fence(XML)
    assert definitions.with_fence(fenced) == fenced
    read = definitions.parse(fenced)
    assert read.is_fenced
    assert [disk.target for disk in read.disks] == ["vda", "sda"]
    assert definitions.without_fence(fenced) == definitions.with_sources(XML, {})


def test_the_fence_is_a_read_only_disk_that_is_not_optional(definitions):
    source = etree.fromstring(definitions.with_fence(XML)).find(
        f"devices/disk[readonly]/source[@file='{FENCE_PATH}']"
    )
    assert source is not None
    assert source.get("startupPolicy") is None


def test_without_a_fence_there_is_nothing_to_take_away(definitions):
    assert definitions.without_fence(XML) == definitions.with_sources(XML, {})


@pytest.mark.parametrize(
    "xml",
    [
        domain_xml(),
        f"<domain><name>a</name><uuid>{ID}</uuid></domain>",
        domain_xml(arch="s390x", devices="<controller type='pci' index='0' model='pci-root'/>"),
    ],
    ids=["no controllers", "no devices", "s390x"],
)
def test_a_machine_without_known_buses_is_fenced_where_libvirt_likes(definitions, xml):
    fenced = definitions.with_fence(xml)
    assert etree.fromstring(fenced).find("devices/disk[target]/address") is None
    assert definitions.parse(fenced).is_fenced
    assert not definitions.parse(definitions.without_fence(fenced)).is_fenced


@pytest.mark.parametrize("kind", ["sata", "scsi", "ide"])
def test_a_machine_without_pci_is_fenced_on_a_free_unit(definitions, kind):
    taken = (
        f"<disk><source file='/a'/><target dev='sda' bus='{kind}'/>"
        "<address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>"
        f"<controller type='{kind}' index='0'/>"
    )
    fenced = etree.fromstring(definitions.with_fence(domain_xml(devices=taken)))
    address = fenced.find("devices/disk[readonly]/address")
    assert address is not None
    assert (address.get("type"), address.get("unit")) == ("drive", "1")


def test_a_full_bus_is_left_for_the_next_one(definitions):
    root = "<controller type='pci' index='0' model='pci-root'/>"
    bridge = "<controller type='pci' index='1' model='pci-bridge'/>"
    full = "".join(
        f"<interface><address type='pci' domain='0x0000' bus='0x00' slot='0x{slot:02x}'"
        " function='0x0'/></interface>"
        for slot in range(3, 32)
    )
    fenced = etree.fromstring(definitions.with_fence(domain_xml(devices=root + bridge + full)))
    address = fenced.find("devices/disk[readonly]/address")
    assert address is not None
    assert address.get("bus") == "0x01"
