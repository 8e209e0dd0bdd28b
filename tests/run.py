"""Run all tests on three private hosts at once, the live ones on two, and sum up what they say.

Beside them vmsnap is tortured for some minutes, on a fourth. Arguments are handed to each run of
pytest. The last line reads like pytest's own, with the figures of all; the status is 0 only if all
ended with 0.
"""

import collections
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
LIVE = TESTS / "live"
# About as long as the other live tests.
HALF = (
    *("test_guest_bed.py", "test_live_*.py", "test_load.py"),
    *("test_d*_faults.py", "test_full_disk.py", "test_io_errors.py"),
)
RUNNING = tuple(str(path) for name in HALF for path in sorted(LIVE.glob(name)))
PARTS = {
    "live, running machines and faults": RUNNING,
    "live": (str(LIVE), *(f"--ignore={path}" for path in RUNNING)),
    "all others": (str(TESTS), f"--ignore={LIVE}"),
}
TORTURE = "torture"
TORTURE_COMMAND = (
    *(sys.executable, str(TESTS / "torture" / "run.py")),
    *("--seconds", "240", "--workers", "1"),
)
WORDS = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")
COUNT = re.compile(rf"(\d+) ({'|'.join(WORDS)})s?\b")


def pytest_of(selection: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that does a part of the tests on a private host."""
    host = str(TESTS / "live" / "private-host.sh")
    return (host, sys.executable, "-m", "pytest", *selection, *sys.argv[1:])


def start(part: tuple[str, ...], output: Path) -> subprocess.Popen[bytes]:
    """Start a command that dies with this process."""
    command = ("setpriv", "--pdeathsig", "TERM", *part)
    environment = {**os.environ, "VMSNAP_REQUIRE_LIVE": "1", "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as stream:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=TESTS.parent,
            env=environment,
        )


def follow(process: subprocess.Popen[bytes], output: Path) -> None:
    """Show a part's output while it runs."""
    with output.open(errors="replace") as stream:
        while True:
            has_ended = process.poll() is not None
            text = stream.read()
            sys.stdout.write(text)
            sys.stdout.flush()
            if has_ended:
                return
            time.sleep(0.2)


def closing_line(output: Path) -> str:
    """Return the last line that counts tests, or an empty one: pytest did not get that far."""
    lines = output.read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if COUNT.search(line)), "")


def last_line(output: Path) -> str:
    """Return the last line, which is all that the torture says in the end."""
    return (output.read_text(errors="replace").splitlines() or [""])[-1]


def add_up(lines: list[str], seconds: float) -> str:
    """Return one closing line for several."""
    total: collections.Counter[str] = collections.Counter()
    for line in lines:
        for number, word in COUNT.findall(line):
            total[word] += int(number)
    counts = ", ".join(f"{total[word]} {word}" for word in WORDS if total[word])
    return f"===== {counts or 'no tests ran'} in {seconds:.2f}s ====="


def main() -> int:
    """Run all parts; return 0, or the status of a part that failed."""
    os.umask(0o022)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        commands = {name: pytest_of(selection) for name, selection in PARTS.items()}
        commands[TORTURE] = TORTURE_COMMAND
        outputs = {name: Path(folder) / name for name in commands}
        running = {name: start(commands[name], outputs[name]) for name in commands}
        for name, process in running.items():
            sys.stdout.write(f"\n##### {name}\n\n")
            follow(process, outputs[name])
        lines = {name: closing_line(outputs[name]) for name in PARTS}
        shown = {**lines, TORTURE: last_line(outputs[TORTURE])}
    sys.stdout.write("\n")
    for name, line in shown.items():
        sys.stdout.write(f"{name}: {line.strip(' =') or 'did not end as it should'}\n")
    sys.stdout.write(add_up(list(lines.values()), time.monotonic() - begin) + "\n")
    return next((process.returncode for process in running.values() if process.returncode), 0)


if __name__ == "__main__":
    sys.exit(main())
