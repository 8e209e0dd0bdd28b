"""The tables of the benchmark: a line a row, with its ratio to a baseline and the aim."""

import statistics
from collections.abc import Mapping, Sequence

from benchbed.pairs import Took, ratio

TITLES = ("rounds", "median ms", "cpu ms", "x baseline", "x cpu", "aim")
NAME_WIDTH = 44


def table(title: str, rows: Sequence[str]) -> str:
    """Put the titles above rows that `rows` made."""
    return "\n".join((f"{title:{NAME_WIDTH}}  {'  '.join(TITLES)}", *rows))


def rows(
    baseline: str, found: Mapping[str, Sequence[Took]], aims: Mapping[str, float]
) -> tuple[str, ...]:
    """Lay out the medians of each row, and of its ratios to the baseline, pair by pair."""
    return tuple(_row(name, took, found[baseline], aims.get(name)) for name, took in found.items())


def _row(name: str, took: Sequence[Took], base: Sequence[Took], aim: float | None) -> str:
    wall, base_wall = ([item.wall_ms for item in each] for each in (took, base))
    cpu, base_cpu = ([item.cpu_ms for item in each] for each in (took, base))
    cells = (
        str(len(took)),
        f"{statistics.median(wall):.1f}",
        f"{statistics.median(cpu):.1f}",
        f"{ratio(wall, base_wall):.2f}",
        f"{ratio(cpu, base_cpu):.2f}",
        "" if aim is None else f"{aim:.1f}",
    )
    line = "  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, TITLES, strict=True))
    return f"{name:{NAME_WIDTH}}  {line}".rstrip()
