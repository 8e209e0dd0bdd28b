"""Definitions as each libvirt writes them: the fence holds, and what a revert defines starts.

libvirt rewrites what it is given, each version in another way: `make test-matrix` runs these on
several.
"""

import subprocess
from pathlib import Path

import libvirt
import pytest
from livebed.machine import VirshError, virsh
from livebed.world import FENCE, refusal

from vmsnap.host.chain_limits import deepest_chain
from vmsnap.host.domain_xml import XmlDefinitions

pytestmark = pytest.mark.live

URI = "qemu:///system"
HARDWARE = (
    {"firmware": "uefi"},
    {"firmware": "secure"},
    {"firmware": "auto"},
    {"firmware": "bios"},
    {"firmware": "uefi", "tpm": "1.2"},
)


@pytest.fixture(params=HARDWARE, ids=lambda hardware: "-".join(hardware.values()))
def web(request, machine):
    """Return a machine with host files."""
    made = machine(**request.param)
    made.make_host_files()
    return made


def test_the_fence_is_named_and_no_byte_of_the_host_files_moves(web):
    """H36, H55."""
    definitions = XmlDefinitions.for_uri(URI)
    clean, files = web.definition(), web.host_files()
    web.define(definitions.with_fence(clean))
    for _ in range(2):
        reason = refusal(web)
        assert reason is not None
        assert str(FENCE) in reason
        assert web.host_files() == files
    web.define(definitions.without_fence(web.definition()))
    assert web.definition() == clean
    assert refusal(web) is None


def test_a_revert_gives_back_a_definition_that_starts(web, vmsnap):
    """What was edited since is gone; what libvirt made of the definition is there again."""
    definitions = XmlDefinitions.for_uri(URI)
    monday, files = web.definition(), web.host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    virsh("setmaxmem", web.id, "640M", "--config")
    virsh("desc", web.id, "edited since", "--config")
    virsh("detach-disk", web.id, "vdb", "--config")
    edited = web.definition()

    vmsnap("group", "revert", web.name, "monday", "--allow-disk-changes")
    sources = {target: (path, "qcow2") for target, path in web.disks.items()}
    assert definitions.same(web.definition(), definitions.with_sources(monday, sources))
    assert web.host_files() == files
    assert refusal(web) is None
    assert definitions.same(web.definition(), definitions.with_sources(monday, sources))

    vmsnap("undo", web.name)
    assert definitions.same(web.definition(), edited)
    assert refusal(web) is None


def test_the_longest_chain_that_vmsnap_makes_starts(machine):
    """H32: some versions refuse a chain that qemu-img makes without a word."""
    web = machine(firmware="bios", tpm=None, disks=("qcow2",))
    depth = deepest_chain(libvirt.open(URI).getLibVersion())
    top = stack(web.original("vda"), depth - 1)
    definitions = XmlDefinitions.for_uri(URI)
    web.define(definitions.with_sources(web.definition(), {"vda": (top, "qcow2")}))
    assert refusal(web) is None
    if depth < 100:
        top = stack(top, 2)
        web.define(definitions.with_sources(web.definition(), {"vda": (top, "qcow2")}))
        with pytest.raises(VirshError, match="nesting too deep"):
            web.start("--paused")


def stack(image: Path, count: int) -> Path:
    """Put overlays on an image; return the topmost."""
    for _ in range(count):
        top = image.with_name(f"{image.stem}x.qcow2")
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, top]
        subprocess.run(command, check=True, timeout=30)
        image = top
    return image
