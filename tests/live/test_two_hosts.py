"""Two private hosts, each with its own libvirtd and disks, on one MariaDB server."""

from collections.abc import Iterator
from typing import Any

import pytest
from livebed.command import Vmsnap
from livebed.databases import MariaDbDatabase
from livebed.machine import Machine
from livebed.second_host import SecondHost, small_machine, state_of
from servers.mariadb import running_mariadb

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDbDatabase]:
    with running_mariadb() as server:
        yield MariaDbDatabase(server, "vmsnap_shared")


@pytest.fixture(scope="module")
def there(database: MariaDbDatabase) -> Iterator[SecondHost]:
    with SecondHost(database.url) as host:
        yield host


@pytest.fixture
def web(there: SecondHost) -> Iterator[Machine]:
    """A machine on this host; the other has one of the same name and UUID, with its own disks."""
    machine = small_machine()
    try:
        there.make(machine)
        yield machine
    finally:
        machine.remove()


@pytest.fixture
def here(database: MariaDbDatabase, vmsnap: Vmsnap) -> Vmsnap:
    vmsnap.database = database.url
    return vmsnap


def hosts(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["name"], item["host_uuid"]) for item in items]


def test_neither_host_touches_what_is_the_others(
    here: Vmsnap, there: SecondHost, web: Machine, database: MariaDbDatabase
):
    """H61: with one domain UUID on both, each lives as if it were alone, and sees both if asked."""
    here("snapshot", "create", web.name, "--name", "mine")
    there("snapshot", "create", web.name, "--name", "theirs")
    there("backup", "create", web.name, "--name", "kept")
    mine, theirs = state_of(web), there.state()
    rows = database.query("SELECT uuid, host_uuid, name FROM resource ORDER BY uuid")
    (other_id,) = {host for _, host, name in rows if name == "theirs"}
    (uuid,) = (uuid for uuid, _, name in rows if name == "theirs")

    # Names and UUIDs of the other's are unknown here, and it is said where they are.
    for name in ("theirs", uuid):
        for words in (
            ("group", "revert", web.name, name),
            ("group", "delete", web.name, name, "--yes"),
            ("group", "ungroup", web.name, name),
            ("group", "show", web.name, name),
            ("group", "check", web.name, name),
            ("backup", "restore", web.name, name),
            ("backup", "clone", web.name, web.name, "--from", name),
        ):
            answer = here(*words, status=12)
            assert other_id in answer.document["errors"][0]["message"], words
    here("backup", "delete", web.name, "kept", "--yes", status=12)
    here("undo", web.name, status=14)
    assert here("recover").data["operations"] == []
    assert here("doctor").data["findings"] == []

    # Lists.
    for kind in ("group", "snapshot", "backup"):
        own = hosts(here(kind, "list", web.name).data[f"{kind}s"])
        both = hosts(here(kind, "list", web.name, "--all-hosts").data[f"{kind}s"])
        assert {name for name, _ in own} in ({"mine"}, {"mine/vda"})
        assert {host for _, host in own} < {host for _, host in both}
        assert other_id in {host for _, host in both}
    table = here("group", "list", "--all-hosts", as_json=False).stdout
    assert f"{other_id}\n" in table
    assert "(this host)\n" in table

    # Nothing of this changed anything; and each goes on by itself.
    assert (state_of(web), there.state()) == (mine, theirs)
    assert database.query("SELECT uuid, host_uuid, name FROM resource ORDER BY uuid") == rows
    here("group", "revert", web.name, "mine")
    here("undo", web.name)
    here("group", "delete", web.name, "mine", "--yes")
    assert there.state() == theirs
    (verdict,) = there("group", "check", web.name)["data"]["groups"]
    assert verdict["available"]
    assert all(item["is_whole"] for item in there("backup", "verify")["data"]["backups"])
    there("group", "delete", web.name, "theirs", "--yes")
    there("backup", "delete", web.name, "kept", "--yes")
    left = database.query("SELECT host_uuid, name FROM resource")
    assert [name for host, name in left if host == other_id] == []
    assert [name for _, name in left if not name.startswith("safety-")] == []


def test_an_operation_that_was_killed_on_one_host_keeps_the_other_from_changing_the_domain(
    here: Vmsnap, there: SecondHost, web: Machine
):
    """H61: until it is recovered there; this host cannot, and says who can."""
    here("snapshot", "create", web.name, "--name", "mine")
    there("snapshot", "create", web.name, "--name", "theirs")
    there.kill("LibvirtHypervisor.define", "group", "revert", web.name, "theirs")
    mine, theirs = state_of(web), there.state()
    for words in (
        ("snapshot", "create", web.name),
        ("snapshot", "create", web.name, "--dry-run"),
        ("group", "revert", web.name, "mine"),
        ("group", "delete", web.name, "mine", "--yes"),
        ("group", "ungroup", web.name, "mine"),
        ("backup", "create", web.name),
        ("backup", "restore", web.name, "mine"),
    ):
        answer = here(*words, status=14)
        assert answer.code == "other_host", words
        (error,) = answer.document["errors"]
        assert "has 'group revert' of " in error["message"]
        assert "vmsnap recover" in error["hint"]
        assert answer.document["changed"] is False
    assert here("recover").data["operations"] == []
    assert [item["available"] for item in here("group", "check", web.name).data["groups"]] == [True]
    assert (state_of(web), there.state()) == (mine, theirs)

    (settled,) = there("recover")["data"]["operations"]
    assert settled["outcome"] == "undone"
    here("group", "revert", web.name, "mine")
    assert there("recover")["data"]["operations"] == []


def test_what_a_host_that_seemed_gone_had_pending_is_settled_there_when_it_comes_back(
    here: Vmsnap, there: SecondHost, web: Machine
):
    """H61: struck off here after a question; not without one."""
    here("snapshot", "create", web.name, "--name", "mine")
    there("snapshot", "create", web.name, "--name", "theirs")
    there.kill("LibvirtHypervisor.define", "group", "revert", web.name, "theirs")
    (finding,) = here("doctor", web.name, "--fix", status=3).data["findings"]
    assert (finding["code"], finding["fix"]) == ("pending_on_other_host", "asks")
    here("group", "revert", web.name, "mine", status=14)
    assert here("doctor", web.name, "--fix", "--yes").data["findings"] == []
    here("group", "revert", web.name, "mine")

    (settled,) = there("recover")["data"]["operations"]
    assert settled["outcome"] == "undone"
    assert there("doctor", web.name)["data"]["findings"] == []
    there("group", "revert", web.name, "theirs")
    here("undo", web.name)
