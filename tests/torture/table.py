"""What a run of the torture found, as the tables of a page."""

import collections
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGIN = "<!-- made by make torture: begin -->"
END = "<!-- made by make torture: end -->"
KINDS = ("step", "fsync", "after")


@dataclass
class Row:
    """The kills of one sweep: how many moments there are, and how many of them were reached."""

    moments: int = 0
    reached: set[str] = field(default_factory=set)
    runs: collections.Counter[str] = field(default_factory=collections.Counter)
    recovers: int = 0
    cuts: int = 0
    failures: int = 0


@dataclass
class Tally:
    """Everything that workers have said."""

    rows: dict[str, Row] = field(default_factory=dict)
    steps: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    failed: list[dict[str, Any]] = field(default_factory=list)
    runs: int = 0

    def add(self, line: dict[str, Any]) -> None:
        """Add one line of a worker."""
        row = self.rows.setdefault(line["sweep"], Row())
        if "moments" in line:
            row.moments = line["moments"]
            return
        kill, has_failed = line["kill"], bool(line["failures"])
        self.runs += 1
        row.runs[kill.partition(":")[0]] += 1
        row.recovers += ",recover=" in kill
        row.cuts += "+power-cut" in kill
        row.failures += has_failed
        if line["is_plain"] and not kill.startswith("after"):
            row.reached.add(kill)
        counts = self.steps.setdefault((line["sweep"].partition("/")[0], line["name"]), [0, 0])
        counts[0] += 1
        counts[1] += has_failed
        if has_failed:
            self.failed.append(line)


def summed_up(tally: Tally) -> str:
    """Return one line."""
    moments = sum(row.moments for row in tally.rows.values())
    reached = sum(len(row.reached) for row in tally.rows.values())
    return (
        f"{tally.runs} kills in {len(tally.rows)} sweeps, {reached} of their {moments} steps and"
        f" fsyncs, {len(tally.failed)} failures"
    )


def tables(tally: Tally, untouched: Iterable[str], facts: dict[str, str]) -> str:
    """Return the tables in Markdown."""
    lines = [f"- {word}: {text}" for word, text in facts.items()]
    lines += [f"- result: **{summed_up(tally)}**", ""]
    lines += [
        "| verb | machine | database | moments | reached | at steps | at fsyncs | at any time "
        "| recover killed too | power cut too | failures |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in sorted(tally.rows.items()):
        runs = " | ".join(str(row.runs[kind]) for kind in KINDS)
        lines.append(
            f"| {name.replace('/', ' | ')} | {row.moments} | {len(row.reached)} | {runs}"
            f" | {row.recovers} | {row.cuts} | {row.failures} |"
        )
    left_out = sorted(set(untouched) - set(tally.rows))
    if left_out:
        lines += ["", f"No time was left for: {'; '.join(left_out)}."]
    lines += ["", "| verb | killed behind this step, or before this fsync | runs | failures |"]
    lines.append("|---|---|--:|--:|")
    lines += [
        f"| {verb} | {step} | {runs} | {failures} |"
        for (verb, step), (runs, failures) in sorted(tally.steps.items())
    ]
    return "\n".join(lines)


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    marks = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    page.write_text(marks.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page.read_text()))
