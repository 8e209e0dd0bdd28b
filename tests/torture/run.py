"""Kill vmsnap at every step of every verb, on private hosts, and say what recover made of it.

    make torture SECONDS=1800                      go on for so long
    make torture SEED=7 ONLY='undo of a revert'    those sweeps alone
    make torture SEED=7 ONLY='snapshot create/off/SQLite/step:5'   one kill, as a failure names it

Each worker has a libvirt of its own. The status is 0 only if nothing was found.
"""

import argparse
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS), str(TESTS / "live")]

from torture.table import Tally, put_into, summed_up, tables  # noqa: E402 - found by the path above
from torture.worker import STOP, Orders, chosen, work  # noqa: E402 - found by the path above

ENDS_WITHIN_SECONDS = 180.0
SAYS_EVERY_SECONDS = 30.0


def options() -> argparse.Namespace:
    """Return what was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--only", default="", help="a sweep, its beginning, or one kill")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--failures", type=Path, default=Path("torture-failures"))
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    parser.add_argument("--planted", default="", help="a step to forget, as 'undo switch_disks'")
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    found = parser.parse_args()
    tasks, case = chosen(found.only)
    if not tasks:
        parser.error(f"no sweep begins with '{found.only}'")
    found.workers = 1 if case is not None else min(found.workers, len(tasks))
    found.failures = found.failures.resolve()
    return found


def start(typed: argparse.Namespace, share: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a worker on a private host, which dies with this process."""
    command = [
        *("setpriv", "--pdeathsig", "TERM", str(TESTS / "live" / "private-host.sh")),
        *(sys.executable, str(Path(__file__).resolve())),
        *("--seed", str(typed.seed), "--seconds", str(typed.seconds), "--only", typed.only),
        *("--workers", str(typed.workers), "--share", str(share), "--planted", typed.planted),
        *("--failures", str(typed.failures), "--results", str(folder / f"results{share}")),
    ]
    with (folder / f"output{share}").open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=TESTS.parent,
            # A terminal's Ctrl-C is for this process: it lets them end what they are at.
            start_new_session=True,
        )


def follow(workers: list[subprocess.Popen[bytes]], streams: list[TextIO], tally: Tally) -> None:
    """Add up what the workers say until all have ended; show failures at once."""
    begin = said = time.monotonic()
    while True:
        have_ended = all(worker.poll() is not None for worker in workers)
        for line in (line for stream in streams for line in stream):
            found = json.loads(line)
            tally.add(found)
            if found.get("failures"):
                say(f"FAILED {found['sweep']}/{found['kill']} ({found['name']})")
                say("\n".join(found["failures"])[:2000])
        if have_ended:
            return
        if time.monotonic() - said > SAYS_EVERY_SECONDS:
            said = time.monotonic()
            say(f"{said - begin:.0f} s: {summed_up(tally)}")
        time.sleep(0.2)


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def facts(typed: argparse.Namespace) -> dict[str, str]:
    """Return how this run can be repeated, and what it ran on."""
    only = f" ONLY='{typed.only}'" if typed.only else ""
    return {
        "command": f"`make torture SECONDS={typed.seconds:.0f} SEED={typed.seed}{only}`,"
        f" {typed.workers} workers",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "libvirt": _version("libvirtd", "--version"),
        "QEMU": _version("qemu-system-x86_64", "--version"),
        "MariaDB": _version("mariadbd", "--version"),
    }


def _version(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return (done.stdout.splitlines() or ["unknown"])[0].rpartition("/")[2].strip()


def torture(typed: argparse.Namespace) -> int:
    """Run all workers, print and write the tables; return 0 if all was well."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="vmsnap-test-") as name:
        folder = Path(name)
        say(f"seed {typed.seed}, {typed.seconds:.0f} s, {typed.workers} workers")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        workers = [start(typed, share, folder) for share in range(typed.workers)]
        streams = [(folder / f"results{share}").open("a+") for share in range(typed.workers)]
        try:
            follow(workers, streams, tally)
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            say("interrupted: the kills that are under way are ended first")
            (folder / STOP).touch()
            follow(workers, streams, tally)
        for share, worker in enumerate(workers):
            if worker.wait(ENDS_WITHIN_SECONDS):
                say(f"worker {share} ended with {worker.returncode}")
                say((folder / f"output{share}").read_text(errors="replace")[-4000:])
    text = tables(tally, (str(task) for task in chosen(typed.only)[0]), facts(typed))
    say(text)
    if typed.page is not None:
        put_into(typed.page, text)
    say(summed_up(tally))
    return int(bool(tally.failed) or any(worker.returncode for worker in workers))


def main() -> int:
    """Be the command, or one of its workers."""
    typed = options()
    if typed.share is None:
        return torture(typed)
    # What a worker that is killed leaves of its files goes with the folder.
    tempfile.tempdir = str(typed.results.parent)
    work(
        Orders(
            typed.seed, typed.seconds, typed.results, typed.failures,
            typed.only, typed.share, typed.workers, typed.planted,
        )
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
