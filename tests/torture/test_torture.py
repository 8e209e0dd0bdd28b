"""The torture itself: it finds a fault that was planted, and plays one kill again."""

import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from livebed.machine import virsh
from torture.bed import Bed
from torture.moments import any_of, every, parse
from torture.scenarios import OFF, RUNNING, SCENARIOS
from torture.sweep import Result, Sweep
from torture.table import BEGIN, END, Tally, put_into, tables
from torture.worker import Orders, Task, Worker, all_tasks, chosen

BY_VERB = {scenario.verb: scenario for scenario in SCENARIOS}
CREATE = Task(BY_VERB["snapshot create"], OFF, "SQLite")


def dice_of(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret, to be repeated


def played(tmp_path: Path, only: str, planted: str = "", seed: int = 1) -> list[dict]:
    """Let a worker play one kill; return what it said of it."""
    output = io.StringIO()
    orders = Orders(seed, 60, tmp_path / "r", tmp_path / "failures", only, planted=planted)
    with contextlib.ExitStack() as started:
        Worker(orders, output, started).work()
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    return [line for line in lines if "kill" in line]


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "said"),
    [("switch_disks", "recover ended with"), ("make_overlay", "left: orphan")],
)
def test_an_undo_that_was_forgotten_is_found_and_everything_about_it_kept(tmp_path, name, said):
    with contextlib.ExitStack() as stack:
        bed = Bed(None, running=False)
        stack.callback(bed.remove)
        steps = Sweep(bed, CREATE.scenario, OFF).steps
    only = f"{CREATE}/step:{steps.index(f'do {name}') + 1}"
    (sound,) = played(tmp_path, only)
    assert (sound["failures"], sound["outcome"], sound["name"]) == ([], "before", f"do {name}")

    (found,) = played(tmp_path, only, f"undo {name}")
    assert any(said in text for text in found["failures"]), found["failures"]
    (folder,) = (tmp_path / "failures").iterdir()
    report = (folder / "report.txt").read_text()
    assert f"make torture SEED=1 ONLY='{only}'" in report
    assert "status -9" in report
    assert (folder / "database" / "vmsnap.db").exists()


@pytest.mark.live
def test_a_guest_that_is_left_suspended_and_a_touched_neighbour_are_found():
    with contextlib.ExitStack() as stack:
        bed = Bed(None, running=True)
        stack.callback(bed.remove)
        sweep = Sweep(bed, BY_VERB["snapshot create --suspend"], RUNNING)
        sound = sweep.play(parse("step:2"), dice_of(1))
        assert (sound.failures, sound.outcome) == ([], "before")

        sweep.again()
        virsh("suspend", bed.world.machine.id)
        found = Result(parse("step:2"))
        sweep._expect_that_it_goes_on(found)
        assert found.failures == ["the guest is left 'paused', not 'running'"]

        bed.other.machine.nvram.write_bytes(b"mine")
        found = sweep.play(parse("step:2"), dice_of(1))
        assert "the other machine was changed" in found.failures


def test_a_kill_is_read_as_it_was_written():
    dice = dice_of(7)
    known = every(5, ("journal", "qemu-img: image", "database"))
    cases = [*known, *(any_of(dice, known, 2.5) for _ in range(200))]
    assert [parse(str(case)) for case in cases] == cases
    assert any(case.recover and case.is_cut and case.at for case in cases)


def test_a_seed_gives_the_same_kills_again():
    known = every(5, ("journal", "qemu-img: image", "database"))
    first, second = (
        [str(any_of(dice, known, 2.5)) for _ in range(50)]
        for dice in (dice_of("3/a"), dice_of("3/a"))
    )
    assert first == second


def test_every_verb_that_changes_something_is_tortured():
    words = {" ".join(scenario.words) for scenario in SCENARIOS}
    for verb in (
        *("snapshot create", "snapshot delete", "group revert", "group delete", "group ungroup"),
        *("group pin", "prune"),
        *("backup create", "backup restore", "backup delete", "backup clone", "undo", "purge"),
        "recover",
    ):
        assert any(line.startswith(verb) for line in words), verb
    assert len({str(task) for task in all_tasks()}) == len(all_tasks())


def test_a_sweep_and_a_kill_are_chosen_by_name():
    assert chosen(str(CREATE)) == ([CREATE], None)
    tasks, case = chosen(f"{CREATE}/fsync:3+children,recover=step:2")
    assert (tasks, str(case)) == ([CREATE], "fsync:3+children,recover=step:2")
    assert len(chosen("")[0]) == len(all_tasks())


def test_the_table_counts_kills_and_failures(tmp_path):
    tally = Tally()
    line = {"sweep": "undo/off/SQLite", "is_plain": True, "name": "do fence", "failures": []}
    tally.add({"sweep": "undo/off/SQLite", "moments": 9})
    tally.add({**line, "kill": "step:3"})
    tally.add({**line, "kill": "step:3", "failures": ["left"]})
    text = tables(tally, ["undo/off/SQLite", "purge/off/SQLite"], {"command": "make torture"})
    assert "| undo | off | SQLite | 9 | 1 | 2 | 0 | 0 | 0 | 0 | 1 |" in text
    assert "| undo | do fence | 2 | 1 |" in text
    assert "No time was left for: purge/off/SQLite." in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n")
    put_into(page, text)
    put_into(page, text)
    assert page.read_text() == f"before\n{BEGIN}\n{text}\n{END}\nbehind\n"
