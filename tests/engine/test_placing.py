"""How the host files of a backup take the place of the live ones: every case of what and where."""

import pytest

from vmsnap.engine.backup import create_backup
from vmsnap.engine.placing import plan_placing
from vmsnap.engine.requests import CreateRequest
from vmsnap.engine.steps.host_files import (
    DiscardHostFile,
    StageHostFile,
    Swap,
    SwapHostFile,
    Witness,
)
from vmsnap.errors import NotAvailableError
from vmsnap.model import HostFileType

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM
OPERATION = "12345678-9abc-4def-8000-000000000001"
PLAIN_BACKEND = "<backend type='emulator' version='2.0'/>"
TPM_XML = f"<tpm model='tpm-crb'>{PLAIN_BACKEND}</tpm>"


def kept(world, **options):
    create_backup(world.ports, world.name, CreateRequest(name="kept", **options))
    return world.rows()[1][0]


def own_place(kind, path):
    source = f"<source type='{kind}' path='{path}'/>"
    return f"{PLAIN_BACKEND.replace('/>', '>')}{source}</backend>"


def definition(world):
    return world.hypervisor.domain(world.uuid).definition


def plan(world, resource, *types, after=None):
    today = definition(world)
    return plan_placing(world.ports, OPERATION, resource, frozenset(types), (today, after or today))


def kinds(steps):
    return [type(step) for step in steps]


def test_what_is_the_same_is_left_alone(world):
    placing = plan(world, kept(world), NVRAM, TPM)
    assert (placing.before, placing.behind, placing.changes) == ((), (), ())


@pytest.mark.parametrize("kind", ["file", "dir"])
def test_a_tpm_with_a_place_of_its_own_is_exchanged_there(world, kind):
    """H21: a regular file, or a directory like libvirt's own."""
    place = world.tpm / "tpm2-00.permall" if kind == "file" else world.tpm
    world.edit(PLAIN_BACKEND, own_place(kind, place))
    resource = kept(world)
    live = place.read_bytes() if kind == "file" else None
    world.touch_firmware(2)
    placing = plan(world, resource, TPM)
    steps = (*placing.before, *placing.behind, *placing.witnesses)
    assert kinds(steps) == [StageHostFile, SwapHostFile, DiscardHostFile, Witness]
    assert {(step.path, step.is_file) for step in steps} == {(place, kind == "file")}
    assert live is None or world.ports.catalog.content(placing.before[0].digest) == live


def test_a_state_of_another_form_is_refused(world):
    """H21: swtpm's file is no directory in a file; --leave keeps the live one."""
    resource = kept(world)
    world.edit(PLAIN_BACKEND, own_place("file", world.folder / "tpm" / "state"))
    with pytest.raises(NotAvailableError, match="tpm was kept of a directory") as caught:
        plan(world, resource, TPM)
    assert "--leave tpm" in caught.value.hint


@pytest.mark.parametrize("type_", HostFileType)
def test_a_live_file_is_exchanged_and_removed_only_behind_the_commit(world, type_):
    """H38: staged beside it, exchanged in one step, never absent in between."""
    resource = kept(world)
    world.touch_firmware(2)
    placing = plan(world, resource, type_)
    assert kinds(placing.before) == [StageHostFile, SwapHostFile]
    assert kinds(placing.behind) == [DiscardHostFile]
    stage, swap = placing.before
    assert swap.how is Swap.EXCHANGE
    assert stage.staged.parent == stage.path.parent
    assert stage.staged.name == f".vmsnap-123456789abc-{type_.value}"
    assert [item.path for item in placing.witnesses] == [stage.path]


def test_another_owner_alone_is_a_change(world):
    """H39."""
    resource = kept(world)
    world.nvram.chmod(0o666)
    assert kinds(plan(world, resource, NVRAM).before) == [StageHostFile, SwapHostFile]


def test_a_file_that_is_gone_is_placed(world):
    resource = kept(world)
    world.nvram.unlink()
    placing = plan(world, resource, NVRAM)
    assert placing.before[1].how is Swap.PLACE
    assert placing.behind == ()
    assert placing.witnesses[0].signature is None


def test_only_what_is_asked_for_is_planned(world):
    resource = kept(world)
    world.touch_firmware(2)
    assert {step.type for step in plan(world, resource, TPM).before} == {TPM}


def test_absent_sets_the_live_file_aside_where_the_definition_loses_it_too(world):
    """H15."""
    with_tpm = definition(world)
    world.edit(TPM_XML, "")
    resource = kept(world)
    without_tpm = definition(world)
    world.edit("<graphics", f"{TPM_XML}<graphics")
    assert definition(world) == with_tpm
    placing = plan(world, resource, TPM, after=without_tpm)
    (swap,) = placing.before
    assert (swap.how, swap.digest) == (Swap.SET_ASIDE, None)
    assert kinds(placing.behind) == [DiscardHostFile]
    with pytest.raises(NotAvailableError, match="tpm"):
        plan(world, resource, TPM, after=with_tpm)


def test_absent_without_a_live_file_is_nothing(world):
    world.edit(TPM_XML, "")
    resource = kept(world)
    assert plan(world, resource, TPM).before == ()


@pytest.mark.parametrize("type_", HostFileType)
def test_what_was_skipped_is_refused_and_nothing_is_removed_for_it(world, type_):
    """H15."""
    resource = kept(world, without=frozenset({type_}))
    with pytest.raises(NotAvailableError) as caught:
        plan(world, resource, type_)
    assert caught.value.hint == f"--leave {type_.value}"


def test_what_was_not_created_plans_nothing(world):
    """H15, H18: who calls has refused it where there is a live file."""
    live = world.nvram.read_bytes()
    world.nvram.unlink()
    resource = kept(world)
    world.nvram.write_bytes(live)
    assert plan(world, resource, NVRAM).before == ()


def test_a_definition_without_a_place_for_it_is_refused(world):
    """H45."""
    resource = kept(world)
    world.edit(TPM_XML, "")
    with pytest.raises(NotAvailableError, match="no tpm"):
        plan(world, resource, TPM)
