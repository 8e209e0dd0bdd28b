"""Twenty vmsnap processes at once on five machines: nothing lost, nothing doubled, no deadlock."""

import collections
import hashlib
import io
import json
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from livebed import load
from livebed.command import Vmsnap
from livebed.databases import MariaDbDatabase, SqliteDatabase, WorldDatabase
from livebed.load import Load, Place
from livebed.machine import Hardware, Machine
from livebed.world import World
from servers.mariadb import MariaDb, running_mariadb

from vmsnap.model import HostFileType
from vmsnap.store.opening import open_catalog

pytestmark = pytest.mark.live

MACHINES = 5
LIMIT_SECONDS = 900
# Each with the reason for which it is no fault.
EXPLAINED = {
    (0, None): "done",
    (75, "busy"): "another run was at work, and this one was not told to wait",
    (13, "name_taken"): "another run has made it",
    (12, "group_not_found"): "another run has deleted it, or none has made it yet",
    (12, "backup_not_found"): "another run has deleted it, or none has made it yet",
    (14, "undo_refused"): "nothing was reverted, or a group was made since",
}


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    with running_mariadb() as running:
        yield running


@pytest.fixture(params=["sqlite", "mariadb"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> WorldDatabase:
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "database" / "vmsnap.db")
    return MariaDbDatabase(request.getfixturevalue("server"), "vmsnap_load")


@pytest.fixture
def worlds(rows: WorldDatabase) -> Iterator[list[World]]:
    """Machines that are off and have NVRAM and TPM state, all of them with one database."""
    with ExitStack() as stack:
        made = []
        for _ in range(MACHINES):
            machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=1))
            stack.callback(machine.remove)
            machine.create()
            machine.make_host_files()
            made.append(World(machine, rows))
            stack.callback(made[-1].remove)
        yield made


def run(order: Load) -> list[dict[str, Any]]:
    """Run a load to its end; return what each run gave."""
    Path(order.results).touch()
    Path(order.folder).mkdir()
    done = subprocess.run(
        [sys.executable, "-P", load.__file__],
        input=order.json(),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in Path(order.results).read_text().splitlines()]


def document(ended: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended["stdout"])
    return found


def verb(ended: dict[str, Any]) -> str:
    return " ".join(ended["arguments"][:2]) if ended["arguments"][0] != "undo" else "undo"


def unexplained(ended: dict[str, Any]) -> bool:
    errors = document(ended)["errors"]
    code = errors[0]["code"] if errors else None
    waits = "--wait" in ended["arguments"]
    # Readers do not wait, whatever they are told: one may look in the middle of a delete.
    is_late = ended["status"] == 75 and waits and verb(ended) != "group check"
    return (ended["status"], code) not in EXPLAINED or is_late


def parts(world: World, catalog: Any) -> dict[str, set[int]]:
    """Return the numbers that are on all that each group of a machine holds; one is right."""
    frozen = world.rows.query(
        "SELECT l.domain_uuid, s.group_uuid, l.path FROM snapshot s"
        " JOIN layer l ON l.uuid = s.layer_uuid"
    )
    found: dict[str, set[int]] = collections.defaultdict(set)
    for domain, group, path in frozen:
        if domain == world.machine.id:
            found[group].add(load.number_on(Path(path)))
    for resource in catalog.resources(None, world.machine.id):
        for backup in resource.backups:
            content = catalog.content(backup.digest)
            assert hashlib.sha256(content).hexdigest() == backup.digest
            found[resource.id].add(number_in(content, backup.type))
    return found


def number_in(content: bytes, type_: HostFileType) -> int:
    if type_ is HostFileType.NVRAM:
        return content[-1]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = next(item for item in archive.getmembers() if item.name.endswith("number"))
        file = archive.extractfile(member)
        assert file is not None
        return file.read()[0]


def figures(name: str, ended: list[dict[str, Any]], seconds: float) -> str:
    waiting = [item["seconds"] for item in ended if "--wait" in item["arguments"]]
    reading = [item["seconds"] for item in ended if verb(item) in load.READING]
    statuses = collections.Counter(item["status"] for item in ended)
    counted = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return (
        f"{name}: {len(ended)} runs in {seconds:.1f} s ({len(ended) / seconds:.1f}/s), {counted};"
        f" longest with --wait {max(waiting):.1f} s, median {statistics.median(waiting):.1f} s;"
        f" longest reading {max(reading):.1f} s"
    )


def test_twenty_processes_on_five_machines(
    worlds: list[World],
    rows: WorldDatabase,
    tmp_path: Path,
    vmsnap: Vmsnap,
    capsys: pytest.CaptureFixture[str],
):
    """H8, H10, H48: whatever ends with 0 is there, once, and whole; the rest says why not."""
    places = [
        Place(world.name, world.machine.id, str(world.machine.nvram), str(world.machine.tpm))
        for world in worlds
    ]
    for place in places:
        load.write(place, 0)
    open_catalog(rows.url, create=True).close()
    vmsnap.database = rows.url
    order = Load(rows.url, places, str(tmp_path / "results"), str(tmp_path / "runs"))
    begin = time.monotonic()
    ended = run(order)
    seconds = time.monotonic() - begin
    with capsys.disabled():
        sys.stdout.write(f"\n{figures(rows.url.partition(':')[0], ended, seconds)}\n")

    assert len(ended) == order.processes * order.runs
    assert [item for item in ended if unexplained(item)] == []
    # What was interrupted is nothing: recover has nothing to do.
    assert all(document(item)["data"]["operations"] == [] for item in ended if is_recover(item))
    with closing(open_catalog(rows.url, create=False)) as catalog:
        for world in worlds:
            assert world.leftovers() == []
            assert world.damaged() == []
            vmsnap("group", "check", world.name)
            assert existing(world) == balance(ended, world.name), world.name
            assert [text for text in parts(world, catalog).items() if len(text[1]) != 1] == []
            active = [
                load.number_on(path) for path in load.active_paths(places[worlds.index(world)])
            ]
            assert len({*active, world.machine.nvram.read_bytes()[-1]}) == 1


def is_recover(ended: dict[str, Any]) -> bool:
    return bool(ended["arguments"][0] == "recover" and ended["status"] == 0)


def existing(world: World) -> dict[str, int]:
    """Count the groups of a machine that somebody made, by name, and its backups."""
    found = world.rows.query(
        "SELECT r.domain_uuid, r.name FROM resource r"
        " LEFT JOIN snapshot_group g ON g.resource_uuid = r.uuid"
        " WHERE g.kind = 'manual' OR r.kind = 'standalone'"
    )
    return dict(collections.Counter(name for domain, name in found if domain == world.machine.id))


def balance(ended: list[dict[str, Any]], domain: str) -> dict[str, int]:
    """Count what there should be: what was created and not deleted since."""
    left: collections.Counter[str] = collections.Counter()
    for item in ended:
        words = item["arguments"]
        if item["status"] != 0 or domain not in words:
            continue
        if words[1] == "create":
            left[words[words.index("--name") + 1]] += 1
        elif words[1] == "delete":
            left[words[3]] -= 1
    return {name: count for name, count in left.items() if count}
