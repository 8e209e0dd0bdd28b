"""What every hypervisor does, the fake and libvirt's alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.hypervisor_beds import (
    Bed,
    FakeBed,
    LiveBed,
    disk_xml,
    domain_xml,
    make_image,
    merge_into,
    name_of,
    new_id,
    volume_xml,
)

from vmsnap.errors import DomainNotFoundError, LibvirtError
from vmsnap.host.fence import FENCE_PATH
from vmsnap.model import Definition, DomainId, DomainState


@pytest.fixture(params=["fake", pytest.param("live", marks=pytest.mark.live)])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = FakeBed(tmp_path) if request.param == "fake" else LiveBed()
    yield bed
    bed.close()


@pytest.fixture
def domain_id(bed: Bed) -> DomainId:
    """Define a domain that is shut off, with disks vda and vdb."""
    domain_id = new_id()
    disks = "".join(
        disk_xml(make_image(bed.folder / f"{target}.qcow2"), target) for target in ("vda", "vdb")
    )
    bed.hypervisor.define(domain_xml(domain_id, disks))
    return domain_id


def overlays(bed: Bed, *targets: str) -> dict[str, Path]:
    return {
        target: make_image(bed.folder / f"{target}.vmsnap-1.qcow2", bed.folder / f"{target}.qcow2")
        for target in targets
    }


def inactive_paths(bed: Bed, domain_id: DomainId) -> dict[str, Path | None]:
    return {disk.target: disk.path for disk in bed.hypervisor.domain(domain_id).definition.disks}


def test_a_defined_domain_is_shut_off_and_uses_its_images(bed, domain_id):
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.id, domain.name) == (domain_id, name_of(domain_id))
    assert domain.state is DomainState.SHUT_OFF
    assert domain.is_persistent
    assert not domain.has_managed_save
    assert domain.active_paths == {
        "vda": bed.folder / "vda.qcow2",
        "vdb": bed.folder / "vdb.qcow2",
    }
    assert (domain.block_jobs, domain.checkpoints, domain.foreign_snapshots) == ((), (), ())


def test_domains_are_listed_by_name(bed, domain_id):
    other = new_id()
    bed.hypervisor.define(domain_xml(other, name="vmsnap-test-0"))
    listed = [domain for domain in bed.hypervisor.domains() if domain.id in {domain_id, other}]
    assert [domain.name for domain in listed] == ["vmsnap-test-0", name_of(domain_id)]
    assert {definition.id for definition in bed.hypervisor.definitions()} >= {domain_id, other}


def definitions_of(bed: Bed, domain_id: DomainId) -> list[Definition]:
    return [item for item in bed.hypervisor.definitions() if item.id == domain_id]


def test_a_running_domain_has_two_definitions_if_it_was_edited_and_else_one(bed, domain_id):
    """H28: whoever looks for users of an image must see both."""
    before = bed.hypervisor.domain(domain_id).xml
    bed.start(domain_id)
    assert len(definitions_of(bed, domain_id)) == 1
    other = make_image(bed.folder / "other.qcow2")
    bed.hypervisor.define(bed.definitions.with_sources(before, {"vdb": (other, "qcow2")}))
    paths = [[disk.path for disk in item.disks] for item in definitions_of(bed, domain_id)]
    vda, vdb = bed.folder / "vda.qcow2", bed.folder / "vdb.qcow2"
    assert paths == [[vda, other], [vda, vdb]]
    bed.stop(domain_id)
    assert len(definitions_of(bed, domain_id)) == 1


def test_a_volume_of_a_pool_has_its_path_unless_it_cannot_be_looked_up(bed):
    """H28: such a disk may be a linked clone of another machine's."""
    domain_id, pool = new_id(), "vmsnap-test-pool"
    image = make_image(bed.folder / "clone.qcow2")
    bed.add_volume(pool, image)
    places = [(pool, image.name), (pool, "missing"), ("vmsnap-test-no-pool", image.name)]
    disks = "".join(
        volume_xml(*place, f"vd{letter}") for place, letter in zip(places, "abc", strict=True)
    )
    bed.hypervisor.define(domain_xml(domain_id, disks))
    (definition,) = definitions_of(bed, domain_id)
    assert [disk.path for disk in definition.disks] == [image, None, None]
    assert [disk.volume for disk in definition.disks] == [None, *places[1:]]
    assert {disk.source_type for disk in definition.disks} == {"volume"}
    assert bed.hypervisor.domain(domain_id).definition.disks[0].path is None


def test_the_host_has_an_id_that_stays(bed):
    assert bed.hypervisor.host_id() == bed.hypervisor.host_id()


@pytest.mark.parametrize("method", ["domain", "managed_save_xml", "remove_managed_save"])
def test_an_unknown_domain_is_not_found(bed, method):
    with pytest.raises(DomainNotFoundError):
        getattr(bed.hypervisor, method)(new_id())


def test_switching_the_disks_of_an_unknown_domain_finds_none(bed):
    with pytest.raises(DomainNotFoundError):
        bed.hypervisor.switch_disks(new_id(), {"vda": bed.folder / "x"})


def test_a_name_that_another_domain_has_is_refused(bed, domain_id):
    with pytest.raises(LibvirtError, match="already exists with uuid"):
        bed.hypervisor.define(domain_xml(new_id(), name=name_of(domain_id)))


def test_another_name_for_the_same_uuid_is_refused(bed, domain_id):
    xml = bed.hypervisor.domain(domain_id).xml
    with pytest.raises(LibvirtError, match="already defined with uuid"):
        bed.hypervisor.define(bed.definitions.with_name(xml, "vmsnap-test-other"))
    assert bed.hypervisor.domain(domain_id).name == name_of(domain_id)


def test_a_definition_is_read_with_its_passwords_and_shown_without_them(bed):
    domain_id = new_id()
    graphics = "<graphics type='vnc' passwd='tOpsecrt'/>"
    bed.hypervisor.define(domain_xml(domain_id, graphics))
    domain = bed.hypervisor.domain(domain_id)
    assert "tOpsecrt" in domain.xml
    assert "tOpsecrt" not in repr(domain)


def test_a_running_domain_is_running_until_it_is_paused(bed, domain_id):
    bed.start(domain_id)
    assert bed.hypervisor.domain(domain_id).state is DomainState.RUNNING
    bed.suspend(domain_id)
    assert bed.hypervisor.domain(domain_id).state is DomainState.PAUSED
    states = {domain.id: domain.state for domain in bed.hypervisor.domains()}
    assert states[domain_id] is DomainState.PAUSED


# --- the fence ---------------------------------------------------------------------------------


def test_a_fenced_domain_does_not_start_and_says_what_to_run(bed, domain_id):
    """H55: nobody starts the machine half-way through a revert."""
    before = bed.hypervisor.domain(domain_id).xml
    bed.hypervisor.define(bed.definitions.with_fence(before))
    fenced = bed.hypervisor.domain(domain_id)
    assert fenced.definition.is_fenced
    with pytest.raises(LibvirtError, match=f"Cannot access storage file '{FENCE_PATH}'"):
        bed.start(domain_id)
    bed.hypervisor.define(bed.definitions.without_fence(fenced.xml))
    assert bed.definitions.same(bed.hypervisor.domain(domain_id).xml, before)
    bed.start(domain_id)


def test_fencing_a_running_domain_leaves_it_running(bed, domain_id):
    """H26: it was started between the look and the fence."""
    bed.start(domain_id)
    xml = bed.hypervisor.domain(domain_id).xml
    bed.hypervisor.define(bed.definitions.with_fence(xml))
    domain = bed.hypervisor.domain(domain_id)
    assert domain.state is DomainState.RUNNING
    assert domain.definition.is_fenced
    assert set(domain.active_paths) == {"vda", "vdb"}


# --- switching disks ---------------------------------------------------------------------------


def test_all_named_disks_of_a_domain_that_is_off_switch_at_once(bed, domain_id):
    made = overlays(bed, "vda", "vdb")
    bed.hypervisor.switch_disks(domain_id, made)
    domain = bed.hypervisor.domain(domain_id)
    assert domain.active_paths == made
    assert {disk.format for disk in domain.definition.disks} == {"qcow2"}
    assert "backingStore" not in domain.xml
    assert domain.foreign_snapshots == ()


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_a_disk_that_is_not_named_stays_where_it_is(bed, domain_id, is_running):
    if is_running:
        bed.start(domain_id)
    made = overlays(bed, "vdb")
    bed.hypervisor.switch_disks(domain_id, made)
    expected = {"vda": bed.folder / "vda.qcow2", **made}
    assert bed.hypervisor.domain(domain_id).active_paths == expected
    assert inactive_paths(bed, domain_id) == expected


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_nothing_is_switched_when_one_overlay_is_missing(bed, domain_id, is_running):
    """H23: all disks switch, or none."""
    if is_running:
        bed.start(domain_id)
    before = bed.hypervisor.domain(domain_id)
    made = overlays(bed, "vda") | {"vdb": bed.folder / "missing.qcow2"}
    with pytest.raises(LibvirtError, match="missing existing file for disk vdb"):
        bed.hypervisor.switch_disks(domain_id, made)
    after = bed.hypervisor.domain(domain_id)
    assert (after.active_paths, after.xml) == (before.active_paths, before.xml)


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_nothing_is_switched_when_a_disk_was_attached_since_the_look(bed, domain_id, is_running):
    """H26: libvirt takes every disk that is not named, but finds no overlay for it."""
    if is_running:
        bed.start(domain_id)
    before = bed.hypervisor.domain(domain_id)
    with pytest.raises(LibvirtError, match="missing existing file"):
        bed.hypervisor.switch_disks(domain_id, overlays(bed, "vda"), targets=["vda"])
    after = bed.hypervisor.domain(domain_id)
    assert (after.active_paths, after.xml) == (before.active_paths, before.xml)
    bed.hypervisor.switch_disks(domain_id, overlays(bed, "vda"), targets=["vda", "vdb"])


def test_a_target_that_the_domain_does_not_have_is_refused(bed, domain_id):
    with pytest.raises(LibvirtError, match="no disk 'vdz'"):
        bed.hypervisor.switch_disks(domain_id, {"vdz": make_image(bed.folder / "x.qcow2")})


def test_switching_no_disks_asks_nothing(bed):
    bed.hypervisor.switch_disks(new_id(), {})


def test_a_switch_of_a_running_domain_leaves_a_chain_that_patching_removes(bed, domain_id):
    """H53: that chain would override the images' headers at the next start."""
    bed.start(domain_id)
    bed.hypervisor.switch_disks(domain_id, overlays(bed, "vda"))
    xml = bed.hypervisor.domain(domain_id).xml
    assert "backingStore" in xml
    bed.hypervisor.define(bed.definitions.with_sources(xml, {}))
    assert "backingStore" not in bed.hypervisor.domain(domain_id).xml


# --- merging on a running domain ---------------------------------------------------------------


def test_a_merge_on_a_running_domain_ends_on_the_base_and_leaves_no_chain(bed, domain_id):
    """H53: a pivot leaves an empty backingStore in the inactive definition."""
    bed.start(domain_id)
    bed.hypervisor.switch_disks(domain_id, overlays(bed, "vda", "vdb"))
    base = bed.folder / "vda.qcow2"
    merge_into(bed, domain_id, base)
    domain = bed.hypervisor.domain(domain_id)
    assert domain.active_paths["vda"] == base
    assert domain.active_paths["vdb"] == bed.folder / "vdb.vmsnap-1.qcow2"
    assert inactive_paths(bed, domain_id)["vda"] == base
    assert "backingStore" not in domain.xml
    assert domain.block_jobs == ()


def test_a_merge_that_is_done_can_be_asked_for_again(bed, domain_id):
    """H44: recover does not know how far an interrupted merge got."""
    bed.start(domain_id)
    bed.hypervisor.switch_disks(domain_id, overlays(bed, "vda"))
    for _ in range(2):
        merge_into(bed, domain_id, bed.folder / "vda.qcow2")
    assert inactive_paths(bed, domain_id)["vda"] == bed.folder / "vda.qcow2"


def test_nothing_is_merged_on_a_domain_that_is_off(bed, domain_id):
    made = overlays(bed, "vda")
    bed.hypervisor.switch_disks(domain_id, made)
    with pytest.raises(LibvirtError, match="cannot merge disk 'vda'"):
        merge_into(bed, domain_id, bed.folder / "vda.qcow2")
    assert inactive_paths(bed, domain_id)["vda"] == made["vda"]


# --- managed save ------------------------------------------------------------------------------


def test_a_saved_domain_with_a_missing_source_starts_only_when_it_is_put_back(bed, domain_id):
    """H27: the saved image must not be resumed over other disks."""
    bed.start(domain_id)
    bed.save(domain_id)
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.state, domain.has_managed_save) == (DomainState.SHUT_OFF, True)
    saved = bed.hypervisor.managed_save_xml(domain_id)
    bed.hypervisor.redefine_managed_save(domain_id, bed.definitions.with_missing_source(saved))
    with pytest.raises(LibvirtError, match=str(FENCE_PATH)):
        bed.start(domain_id)
    assert bed.hypervisor.domain(domain_id).has_managed_save
    bed.hypervisor.redefine_managed_save(domain_id, saved)
    bed.start(domain_id)
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.state, domain.has_managed_save) == (DomainState.RUNNING, False)


def test_a_domain_without_a_saved_image_has_no_saved_definition(bed, domain_id):
    assert bed.hypervisor.managed_save_xml(domain_id) is None
    with pytest.raises(LibvirtError):
        bed.hypervisor.redefine_managed_save(domain_id, bed.hypervisor.domain(domain_id).xml)


def test_a_saved_image_is_removed_once_and_then_not_missed(bed, domain_id):
    bed.start(domain_id)
    bed.save(domain_id)
    for _ in range(2):
        bed.hypervisor.remove_managed_save(domain_id)
    assert not bed.hypervisor.domain(domain_id).has_managed_save


# --- the rest ----------------------------------------------------------------------------------


def test_snapshots_that_others_took_are_named(bed, domain_id):
    bed.take_snapshot(domain_id, "by-virsh")
    domain = bed.hypervisor.domain(domain_id)
    (snapshot,) = domain.foreign_snapshots
    assert (snapshot.name, snapshot.is_external, snapshot.made_paths) == ("by-virsh", False, ())
    assert set(snapshot.kept_paths) == set(domain.active_paths.values())


def test_a_secret_that_is_not_defined_is_not_there(bed):
    assert not bed.hypervisor.has_secret(new_id())


def test_a_chain_may_have_at_least_24_layers(bed):
    """H32: some libvirt versions refuse deeper chains."""
    assert bed.hypervisor.max_chain_depth() in {24, 200}
