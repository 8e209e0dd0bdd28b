"""Finding domains, groups and backups by a name, a UUID or a prefix of one."""

import pytest

from vmsnap.engine.find import (
    find_domain,
    find_domain_id,
    find_domain_name,
    find_known_domain,
    pick_group,
    pick_resource,
)
from vmsnap.errors import (
    AmbiguousIdError,
    BackupNotFoundError,
    DomainNotFoundError,
    GroupNotFoundError,
)
from vmsnap.model import CatalogChange, DomainId, DomainRecord, HostId


def add_other(world, uuid, name="vmsnap-test-other"):
    xml = world.hypervisor.machines[world.uuid].xml
    world.hypervisor.add(xml.replace(world.uuid, uuid).replace(world.name, name))


def test_a_domain_is_found_by_name_uuid_and_prefix(world):
    for text in (world.name, world.uuid, world.uuid.upper(), world.uuid[:8]):
        assert find_domain_id(world.ports, text) == world.uuid
        assert find_domain(world.ports, text).name == world.name
        assert find_domain_name(world.ports, text) == world.name


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("vmsnap-tset-web", "; perhaps 'vmsnap-test-web' is meant"),
        ("nothing-like-it", " on this host"),
        ("vmsnap-test-web" * 100, " on this host"),
    ],
)
def test_a_domain_that_is_not_there_is_told_with_the_nearest_name(world, text, ending):
    with pytest.raises(DomainNotFoundError) as caught:
        find_domain_id(world.ports, text)
    assert caught.value.message.startswith(f"no domain '{text}' on this host")
    assert caught.value.message.endswith(ending)


def test_a_prefix_that_fits_two_is_ambiguous_and_names_both(world):
    add_other(world, world.uuid.replace("0001", "0002"))
    with pytest.raises(AmbiguousIdError, match="vmsnap-test-web") as caught:
        find_domain_id(world.ports, world.uuid[:9])
    assert "vmsnap-test-other" in caught.value.message
    assert caught.value.exit_code == 12


def test_a_name_goes_before_a_prefix(world):
    add_other(world, "bbbbbbbb-0000-4000-8000-000000000002", name="aaaaaaaa")
    assert find_domain_id(world.ports, "aaaaaaaa").startswith("bbbb")


@pytest.mark.parametrize("length", [1, 4, 7])
def test_a_short_prefix_picks_nothing(world, length):
    """H2: a name that is no more, such as 'a' or '4', must not pick another thing to delete."""
    group = world.create("monday").group.group
    with pytest.raises(GroupNotFoundError):
        pick_group(world.ports, [group], world.name, group.id[:length])
    with pytest.raises(DomainNotFoundError):
        find_domain_id(world.ports, world.uuid[:length])


@pytest.mark.parametrize("text", ["nobody", "", "a%", "vmsnap-test-we", "../x", "升级"])
def test_an_unknown_domain_is_refused(world, text):
    world.hypervisor.machines[world.uuid].xml = world.hypervisor.machines[world.uuid].xml.replace(
        world.uuid, "ffffffff-0000-4000-8000-000000000001"
    )
    with pytest.raises(DomainNotFoundError) as caught:
        find_domain_id(world.ports, text)
    assert caught.value.exit_code == 11


def test_a_domain_that_was_undefined_is_known_by_what_is_kept_of_it(world):
    world.create("monday")
    world.hypervisor.undefine(world.uuid)
    assert find_known_domain(world.ports, world.name, None) == (world.uuid, world.name)
    with pytest.raises(DomainNotFoundError):
        find_domain_id(world.ports, world.name)


def test_a_group_is_picked_by_name_uuid_and_prefix(world):
    world.create("monday")
    world.create("tuesday")
    groups = world.rows()[0]
    for text in ("monday", groups[0].id, groups[0].id[:8]):
        assert pick_group(world.ports, groups, world.name, text).name == "monday"
    with pytest.raises(GroupNotFoundError, match="friday"):
        pick_group(world.ports, groups, world.name, "friday")
    with pytest.raises(GroupNotFoundError):
        pick_group(world.ports, groups, world.name, "Monday")


def test_a_backup_is_picked_by_its_resource(world):
    """H12: the id of a row is no id of what owns it."""
    world.create("monday")
    (resource,) = world.rows()[1]
    assert pick_resource(world.ports, [resource], world.name, resource.id[:10]) == resource
    for text in ("friday", resource.backups[0].id):
        with pytest.raises(BackupNotFoundError):
            pick_resource(world.ports, [resource], world.name, text)


def test_a_name_of_before_is_explained_but_found_only_for_reading(world):
    world.create("monday")
    world.hypervisor.rename(world.uuid, "vmsnap-test-new")
    assert find_known_domain(world.ports, world.name, None) == (world.uuid, "vmsnap-test-new")
    with pytest.raises(DomainNotFoundError, match="it is called 'vmsnap-test-new' now"):
        find_domain_id(world.ports, world.name)
    world.hypervisor.undefine(world.uuid)
    with pytest.raises(DomainNotFoundError, match="any more") as caught:
        find_domain_id(world.ports, world.name)
    assert caught.value.hint == f"vmsnap purge {world.name}"


def test_two_domains_that_had_one_name_are_told_apart_by_their_uuids(world):
    world.create("monday")
    world.hypervisor.rename(world.uuid, "vmsnap-test-new")
    other = DomainRecord(
        world.hypervisor.host, DomainId("bbbbbbbb-0000-4000-8000-000000000002"), world.name
    )
    world.ports.catalog.apply(CatalogChange(record=other))
    with pytest.raises(AmbiguousIdError, match=world.uuid):
        find_known_domain(world.ports, world.name, None)
    assert find_known_domain(world.ports, "bbbbbbbb", None)[1] == world.name


def test_a_domain_that_was_on_two_hosts_is_one(world):
    """H61."""
    world.create("monday")
    other = DomainRecord(HostId("99"), DomainId(world.uuid), world.name)
    world.ports.catalog.apply(CatalogChange(record=other))
    world.hypervisor.undefine(world.uuid)
    for text in (world.name, world.uuid[:8]):
        assert find_known_domain(world.ports, text, None) == (world.uuid, world.name)
