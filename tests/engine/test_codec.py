"""What goes into a journal comes out of it."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.layers import Action
from vmsnap.engine.steps.definition import Define, Fence
from vmsnap.engine.steps.endings import EndGroups
from vmsnap.engine.steps.host_files import (
    ConfirmUnchanged,
    LayerWitness,
    StageHostFile,
    Swap,
    SwapHostFile,
    Witness,
)
from vmsnap.engine.steps.merges import MergeLayers
from vmsnap.engine.steps.rows import Commit, CommitGroup
from vmsnap.engine.steps.switching import SwitchDisks
from vmsnap.model import (
    CatalogChange,
    DomainRecord,
    DomainState,
    FileMeta,
    FrozenFacts,
    HostFileType,
    Layer,
    Operation,
)
from vmsnap.ports import FileIdentity, HostFileSpec

FACTS = FrozenFacts(size_bytes=2**40, mtime_ns=1_795_348_800_123_456_789, header_digest="0" * 64)
LAYER = Layer("l", "h", "d", "vda", Path("/a b/ü"), "raw", None, False, False, FACTS)
META = FileMeta(64055, 108, 0o600, (("security.selinux", "73797374"),))
STEPS = [
    Fence(),
    Define("<domain>升</domain>", "<domain/>", {"vda": (Path("/x"), "qcow2")}),
    Define("<domain/>", "<domain/>", {}),
    ConfirmUnchanged(
        (Witness(HostFileType.TPM, Path("/t"), None),), (LayerWitness(Path("/l"), FACTS),)
    ),
    StageHostFile(HostFileType.NVRAM, Path("/n"), Path("/.n"), "0" * 64, META),
    SwapHostFile(
        HostFileType.NVRAM, Path("/n"), Path("/.n"), Swap.EXCHANGE, "0", FileIdentity(1, 2)
    ),
    SwapHostFile(HostFileType.TPM, Path("/n"), Path("/.n"), Swap.SET_ASIDE, None, None),
    SwitchDisks({"vda": Path("/o")}, {"vda": (Path("/b"), "raw")}),
    SwitchDisks(
        {"vda": Path("/o")},
        {"vda": (Path("/b"), "raw")},
        host_files=(HostFileSpec(HostFileType.NVRAM, Path("/n")),),
        was=DomainState.RUNNING,
        layers=(LayerWitness(Path("/l"), FACTS),),
        suspends=True,
        freeze_seconds=10,
    ),
    CommitGroup(CatalogChange(ready=("g",)), "g"),
    MergeLayers("vda", Action.COMMIT, "l", "c", Path("/l"), Path("/c"), (Path("/b"), "raw")),
    MergeLayers("vda", Action.DROP, "l", None, Path("/l"), None, None),
    EndGroups(("g", "h")),
    Commit(
        CatalogChange(
            ready=("g",),
            layers=(LAYER,),
            moved_snapshots={"a": "b"},
            record=DomainRecord("h", "d", "web1", "g", None),
        )
    ),
    Commit(CatalogChange()),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_survives_the_journal(step):
    text = json.dumps(to_json(step))
    assert from_json(type(step), json.loads(text)) == step


def test_an_operation_survives_with_its_time(world):
    now = world.ports.clock.now()
    operation = Operation("o", "group revert", "h", "d", "web 1", now)
    assert from_json(Operation, json.loads(json.dumps(to_json(operation)))) == operation


def test_every_field_is_written():
    assert set(to_json(LAYER)) == {item.name for item in fields(Layer)}


def test_what_has_no_json_is_a_bug():
    with pytest.raises(TypeError):
        to_json(object())
