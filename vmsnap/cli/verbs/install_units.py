"""The verb install-units."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import DryRun
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Block, Column, Line, Problem, Table
from vmsnap.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmsnap.host.unit_files import UnitFile

EPILOG = epilog(
    "vmsnap install-units",
    "vmsnap install-units --dry-run",
    "vmsnap install-units --dir /run/systemd/system --force",
    statuses=(3, 14, 21, 75),
)
_EDITED = "edited"
_PARTIAL = 3
_PACKAGED_PROGRAM = ("/usr/bin/vmsnap",)
_PACKAGED_UNIT = Path("/usr/lib/systemd/system/vmsnap-recover.service")
_WORDS = {"new": "installed", "same": "unchanged", "older": "updated"}
_WOULD = {"new": "would be installed", "same": "unchanged", "older": "would be updated"}
_NEXT = {
    "systemctl daemon-reload": "",
    "systemctl enable vmsnap-recover.service": "settles at boot",
    "systemctl enable --now vmsnap-snapshot.timer": "every night, all domains",
    "systemctl enable --now vmsnap-snapshot@web1.timer": "every night, this one",
    "systemctl enable --now vmsnap-prune.timer": "every night",
    "systemctl enable --now vmsnap-status.timer": "every 15 minutes",
}
"""What can be enabled, and when it runs then."""

Dir = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where systemd looks for them.")]
Force = Annotated[bool, typer.Option("--force", help="Replace those that were edited, too.")]


def install_units(
    context: typer.Context,
    dir_: Dir = Path("/etc/systemd/system"),
    force: Force = False,
    dry_run: DryRun = False,
) -> Answer:
    """Install units and timers for systemd.

    They run this vmsnap. Nothing is enabled: what can be is said at the end. A unit that was
    edited is left as it is without --force, and the status is then 3; better change one with
    `systemctl edit`, which an update leaves alone.
    """
    from vmsnap.host.unit_files import install, require_root_s_own, unit_files

    session: Session = context.obj
    program = running_program()
    if os.geteuid() == 0:
        require_root_s_own(Path(program[0]))
    if not force:
        _require_none_packaged(program)
    units = unit_files(dir_.absolute(), program)
    wanted = [unit for unit in units if force or unit.state.value != _EDITED]
    changing = [unit for unit in wanted if unit.state.value != "same"]
    if not dry_run:
        session.begin_change(context)
        for unit in changing:
            install(unit)
    return _answer(units, changing, program, dry_run=dry_run)


def _require_none_packaged(program: tuple[str, ...]) -> None:
    if program == _PACKAGED_PROGRAM and _PACKAGED_UNIT.exists():
        message = f"the units are there already, from the package: '{_PACKAGED_UNIT.parent}'"
        raise StateError(message, hint="systemctl cat vmsnap-snapshot.timer")


def running_program() -> tuple[str, ...]:
    """Return the words that start this vmsnap again, from any folder."""
    called = shutil.which(sys.argv[0]) if sys.argv[0] else None
    if called is not None and Path(called).name == "vmsnap":
        return (str(Path(called).absolute()),)
    return (sys.executable, "-m", "vmsnap")


def _answer(
    units: "Sequence[UnitFile]",
    changing: "Sequence[UnitFile]",
    program: tuple[str, ...],
    *,
    dry_run: bool,
) -> Answer:
    left = [unit for unit in units if unit.state.value == _EDITED and unit not in changing]
    problems = tuple(
        Problem(
            _EDITED, f"unit '{unit.path}' was edited, so it is left alone", "--force replaces it"
        )
        for unit in left
    )
    return Answer(
        {
            "program": list(program),
            "units": [
                {"path": str(unit.path), "state": unit.state.value, "is_written": unit in changing}
                for unit in units
            ],
        },
        (_table(units, left, dry_run=dry_run), *_next_steps(dry_run=dry_run)),
        changed=bool(changing) and not dry_run,
        exit_code=_PARTIAL if left and not dry_run else 0,
        errors=problems,
        is_news=not dry_run,
    )


def _table(units: "Sequence[UnitFile]", left: "Sequence[UnitFile]", *, dry_run: bool) -> Table:
    words = _WOULD if dry_run else _WORDS

    def word(unit: "UnitFile") -> str:
        if unit in left:
            return "edited, left alone"
        return words.get(unit.state.value, words["older"])

    return Table(
        (Column("UNIT", "bold"), Column("WHAT")),
        tuple((str(unit.path), word(unit)) for unit in units),
    )


def _next_steps(*, dry_run: bool) -> tuple[Block, ...]:
    first = "once they are installed" if dry_run else "next"
    width = max(map(len, _NEXT))
    lines = (
        f"  {command:<{width}}  # {meaning}" if meaning else f"  {command}"
        for command, meaning in _NEXT.items()
    )
    return (Line(), Line(f"{first}, what is wanted of:"), *(Line(line) for line in lines))
