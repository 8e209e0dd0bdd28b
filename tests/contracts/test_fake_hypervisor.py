"""The fake fails on call: before, half-way and after what it does."""

from pathlib import Path

import pytest
from fakes.domain_xml import ID, domain_xml
from fakes.hypervisor import FakeHypervisor

from vmsnap.errors import LibvirtError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.model import DomainId, DomainState

DOMAIN = DomainId(ID)
DISKS = "".join(
    f"<disk><source file='/{target}'/><target dev='{target}'/></disk>" for target in ("vda", "vdb")
)
OVERLAYS = {"vda": Path("/vda.1"), "vdb": Path("/vdb.1")}


@pytest.fixture
def hypervisor() -> FakeHypervisor:
    hypervisor = FakeHypervisor(
        XmlDefinitions.for_uri("qemu:///system"), file_exists=lambda _path: True
    )
    hypervisor.add(domain_xml(devices=DISKS))
    return hypervisor


@pytest.mark.parametrize(
    ("when", "switched"), [("before", set()), ("middle", {"vda"}), ("after", {"vda", "vdb"})]
)
def test_a_switch_fails_where_it_was_told_to(hypervisor, when, switched):
    hypervisor.fail("switch_disks", when=when)
    with pytest.raises(LibvirtError, match="injected"):
        hypervisor.switch_disks(DOMAIN, OVERLAYS)
    paths = hypervisor.domain(DOMAIN).active_paths
    assert {target for target in paths if paths[target] == OVERLAYS[target]} == switched


def test_a_failure_comes_once_at_the_call_it_is_meant_for(hypervisor):
    hypervisor.fail("define", LibvirtError("third"), skip=2)
    xml = hypervisor.domain(DOMAIN).xml
    hypervisor.define(xml)
    hypervisor.define(xml)
    with pytest.raises(LibvirtError, match="third"):
        hypervisor.define(xml)
    hypervisor.define(xml)


def test_somebody_may_start_the_domain_in_the_middle_of_a_call(hypervisor):
    hypervisor.on("define", lambda: hypervisor.start(DOMAIN), when="middle")
    hypervisor.define(hypervisor.domain(DOMAIN).xml)
    assert hypervisor.domain(DOMAIN).state is DomainState.RUNNING


def test_calls_are_recorded_in_their_order(hypervisor):
    hypervisor.domain(DOMAIN)
    hypervisor.switch_disks(DOMAIN, OVERLAYS)
    assert hypervisor.calls == [("domain", DOMAIN), ("switch_disks", DOMAIN, "vda", "vdb")]
