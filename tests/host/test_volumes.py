"""Disks that name a volume of a storage pool, and what is found behind them."""

from pathlib import Path

from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.volumes import located

XML = """<domain><name>web</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid><devices>
<disk type='file'><source file='/a'/><target dev='vda'/></disk>
<disk type='volume'><source pool='p' volume='v'/><target dev='vdb'/></disk>
<disk type='volume'><source pool='p' volume='v'/><target dev='vdc'/></disk>
<disk type='volume' device='cdrom'><target dev='sda'/></disk></devices></domain>"""


def disks_found(path):
    """Return the disks, and for which volumes a path was asked."""
    asked = []

    def look_up(pool, volume):
        asked.append((pool, volume))
        return path

    (found,) = located([XmlDefinitions.for_uri("qemu:///system").parse(XML)], look_up)
    return [(disk.path, disk.volume) for disk in found.disks], asked


def test_each_volume_is_looked_up_once_and_files_are_left_alone():
    disks, asked = disks_found(Path("/pool/v"))
    file, drive = (Path("/a"), None), (None, None)
    assert disks == [file, (Path("/pool/v"), None), (Path("/pool/v"), None), drive]
    assert asked == [("p", "v")]


def test_what_is_not_found_is_still_named():
    assert disks_found(None)[0][1] == (None, ("p", "v"))


def test_a_volume_of_a_network_pool_has_no_path():
    assert disks_found(Path("rbd-pool/v"))[0][1] == (None, None)
