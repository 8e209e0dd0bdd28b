"""What libvirt is asked when disks are switched."""

from pathlib import Path

import pytest
from lxml import etree

from vmsnap.errors import LibvirtError
from vmsnap.host.snapshot_xml import switch_request


def test_every_disk_is_named_and_only_those_with_an_overlay_are_switched():
    request = etree.fromstring(switch_request(["vdb", "vda", "sda"], {"vdb": Path("/o&1.qcow2")}))
    modes = {disk.get("name"): disk.get("snapshot") for disk in request.iterfind("disks/disk")}
    assert modes == {"sda": "no", "vda": "no", "vdb": "external"}
    switched = request.find("disks/disk[@name='vdb']")
    assert switched.find("source").get("file") == "/o&1.qcow2"
    assert switched.find("driver").get("type") == "qcow2"


def test_an_overlay_for_no_disk_is_refused():
    with pytest.raises(LibvirtError, match="no disk 'vdz'"):
        switch_request(["vda"], {"vdz": Path("/o.qcow2")})
