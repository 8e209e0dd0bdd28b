"""Run the live tests against the libvirts of several suites of Debian, and print what passed where.

Called by `make test-matrix`. MATRIX names the suites, else all of SUITES; arguments are handed to
pytest instead of the usual SELECTION. This machine's own suite runs on the machine's packages, each
other one in a root folder of its own (in-suite.sh). The status is 0 only if all tests passed
on all of them.
"""

import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

LIVE = Path(__file__).resolve().parent.parent
CLONE = LIVE.parent.parent
CACHE = Path(os.environ.get("VMSNAP_TEST_CACHE", "/var/cache/vmsnap-test"))
SUITES = ("bookworm", "trixie", "forky")
SELECTION = (
    *("tests/live/test_private_host.py", "tests/live/test_bed.py", "tests/live/test_main_job.py"),
    *("tests/live/test_definitions.py", "tests/live/test_places.py"),
    *("tests/live/test_live_create.py", "tests/live/test_live_delete.py"),
    "tests/contracts/test_hypervisor.py",
)
PROGRAMS = ("libvirtd", "qemu-system-x86_64", "swtpm", "/usr/bin/python3")
VERSION = re.compile(r"\d+\.\d+(\.\d+)*")
BAD = ("failed", "error")


@dataclass
class Result:
    """What one suite said: a version for each program, and counts of outcomes by test file."""

    suite: str
    versions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    status: int = 0

    def cell(self, name: str) -> str:
        """Return a file's cell of the table: the passed of all; the skipped are named."""
        counts = self.counts.get(name, Counter())
        skipped = f" ({counts['skipped']} skipped)" if counts["skipped"] else ""
        return f"{counts['passed']}/{counts.total()}{skipped}" if counts else "-"


def prefix(suite: str) -> list[str]:
    """Return what a command line begins with to run in a suite."""
    is_own = platform.freedesktop_os_release().get("VERSION_CODENAME") == suite
    return [] if is_own else [str(LIVE / "matrix" / "in-suite.sh"), suite]


def run(suite: str, arguments: list[str]) -> Result:
    """Install what a suite lacks, and run the tests in it."""
    result = Result(suite)
    inside = prefix(suite)
    report = CACHE / "suites" / f"{suite}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    install = [*inside, str(LIVE / "install.sh"), "test"]
    result.status = subprocess.run(install, cwd=CLONE, check=False).returncode
    if result.status:
        return result
    for program in PROGRAMS:
        result.versions[program] = version(inside, program)
    command = [
        *("setpriv", "--pdeathsig", "TERM", *inside, str(LIVE / "private-host.sh")),
        *(".venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={report}"),
        *arguments,
    ]
    environment = {**os.environ, "VMSNAP_REQUIRE_LIVE": "1", "PYTHONUNBUFFERED": "1"}
    result.status = subprocess.run(
        command, cwd=CLONE, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode
    if report.exists():
        read(report, result)
    return result


def version(inside: list[str], program: str) -> str:
    """Ask a program for its version."""
    command = [*inside, program, "--version"]
    said = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=True).stdout
    found = VERSION.search(said)
    return found.group() if found else "?"


def read(report: Path, result: Result) -> None:
    """Count what pytest's report says, by test file."""
    for case in etree.parse(report).iterfind(".//testcase"):
        found = next(
            (word for word in ("failure", "error", "skipped") if case.find(word) is not None), None
        )
        outcome = {"failure": "failed", None: "passed"}.get(found, str(found))
        # A file that cannot be imported is a case without a class, named after the file.
        name = (case.get("classname") or case.get("name", "?")).replace(".", "/")
        result.counts.setdefault(name, Counter())[outcome] += 1
        if outcome in BAD:
            result.bad.append(f"{name}.py::{case.get('name')}")


def table(results: list[Result]) -> str:
    """Return the table: a column for each suite, a row for each program and each test file."""
    rows = [["", *(result.suite for result in results)]]
    rows += [
        [Path(program).name, *(result.versions.get(program, "-") for result in results)]
        for program in PROGRAMS
    ]
    names = dict.fromkeys(name for result in results for name in result.counts)
    rows += [[name, *(result.cell(name) for result in results)] for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def closing_line(results: list[Result], seconds: float) -> str:
    """Return one line as pytest closes with, for all suites."""
    total: Counter[str] = Counter()
    for result in results:
        for counts in result.counts.values():
            total += counts
    words = ", ".join(f"{number} {word}" for word, number in sorted(total.items()))
    return f"===== {words or 'no tests ran'} in {seconds:.2f}s ====="


def main() -> int:
    """Run all suites, one after the other."""
    os.umask(0o022)
    begin = time.monotonic()
    suites = os.environ.get("MATRIX", "").replace(",", " ").split() or SUITES
    results = []
    for suite in suites:
        sys.stdout.write(f"\n##### {suite}\n\n")
        sys.stdout.flush()
        results.append(run(suite, sys.argv[1:] or list(SELECTION)))
    sys.stdout.write(f"\n{table(results)}\n\n")
    for result in results:
        for name in result.bad:
            sys.stdout.write(f"{result.suite}: {name} failed\n")
        if result.status and not result.bad:
            sys.stdout.write(f"{result.suite}: ended with status {result.status}\n")
    sys.stdout.write(closing_line(results, time.monotonic() - begin) + "\n")
    return next((result.status for result in results if result.status), 0)


if __name__ == "__main__":
    sys.exit(main())
