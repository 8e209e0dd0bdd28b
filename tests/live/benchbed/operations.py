"""How long vmsnap takes for a group, beside a script that does the same job."""

import shutil
from pathlib import Path

from benchbed.machines import STATE, Machines
from benchbed.pairs import Took, in_turns, timed
from benchbed.tables import rows

SCRIPT = Path(__file__).with_name("group.sh")
ONE, ALL = "snapshot create DOMAIN", "snapshot create --all"
SCRIPT_FOLDER = STATE / "by-script"


def measure(programs: Path, *, machines: int, times: int, where: str) -> tuple[str, ...]:
    """Take groups of one machine or of several with both, in turns, always from the same state.

    Returns rows of a table.
    """
    vmsnap = str(programs / "vmsnap")
    way, aim = (ONE, 3.5) if machines == 1 else (ALL, 0.8)
    with Machines(machines) as made:
        made.make_database(vmsnap)
        domains = made.names if machines == 1 else ["--all"]

        def by_vmsnap(number: int) -> Took:
            made.reset()
            name = ("--name", f"round-{number}")
            return timed((vmsnap, "snapshot", "create", *domains, *name))

        def by_script(number: int) -> Took:
            made.reset()
            shutil.rmtree(SCRIPT_FOLDER, ignore_errors=True)
            SCRIPT_FOLDER.mkdir(mode=0o700)
            return timed((str(SCRIPT), str(SCRIPT_FOLDER), f"round-{number}", *made.names))

        script = f"group.sh, {machines} machine{'s'[: machines > 1]}, {where}"
        ways = {script: by_script, f"{way}, {where}": by_vmsnap}
        found = in_turns(ways, times)
    return rows(script, found, {f"{way}, {where}": aim})
