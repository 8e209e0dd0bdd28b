"""Where a run is killed, and what follows, written so that it can be typed again."""

import random
import re
from dataclasses import dataclass

from livebed.killing import At

CASE = re.compile(
    r"^(?P<kind>step|fsync|after):(?P<at>[0-9.]+)(?P<children>\+children)?(?P<off>\+power-cut)?"
    r"(?:,recover=(?P<recover_kind>step|fsync):(?P<recover_at>[0-9]+))?$"
)
SECOND_KILLS = 10
"""A recover is killed at one of its first so many moments."""


@dataclass(frozen=True)
class Case:
    """One kill: at a moment, or after a time.

    `is_cut`: the machine and all programs die too, as in a power cut. `recover`: where the recover
    that follows is killed as well; another one settles it all.
    """

    at: At | None = None
    seconds: float | None = None
    is_cut: bool = False
    recover: At | None = None

    @property
    def kind(self) -> str:
        """Return "step", "fsync" or "after"."""
        return self.at.kind if self.at is not None else "after"

    @property
    def is_plain(self) -> bool:
        """Whether nothing follows but one recover."""
        return not self.is_cut and self.recover is None

    def __str__(self) -> str:
        if self.at is None:
            text = f"after:{self.seconds:.4f}"
        else:
            children = "+children" if self.at.with_children else ""
            text = f"{self.at.kind}:{self.at.number}{children}"
        text += "+power-cut" if self.is_cut else ""
        return (
            text
            if self.recover is None
            else f"{text},recover={self.recover.kind}:{self.recover.number}"
        )


def parse(text: str) -> Case:
    """Return the case that `str` wrote; raise ValueError."""
    match = CASE.match(text)
    if match is None:
        raise ValueError(f"'{text}' is no moment: step:3, fsync:7+children, after:0.25")
    found = match.groupdict()
    at = None
    if found["kind"] != "after":
        at = At(found["kind"], int(found["at"]), with_children=found["children"] is not None)
    recover = None
    if found["recover_kind"]:
        recover = At(found["recover_kind"], int(found["recover_at"]))
    seconds = float(found["at"]) if at is None else None
    return Case(at, seconds, is_cut=found["off"] is not None, recover=recover)


def every(steps: int, fsyncs: tuple[str, ...]) -> list[Case]:
    """Return a kill at each moment of a run; in a child's fsync, also one of the child."""
    cases = [Case(At("step", number)) for number in range(1, steps + 1)]
    for number, name in enumerate(fsyncs, start=1):
        cases.append(Case(At("fsync", number)))
        if name.startswith("qemu-img"):
            cases.append(Case(At("fsync", number, with_children=True)))
    return cases


def any_of(dice: random.Random, known: list[Case], seconds: float) -> Case:
    """Return a kill at any time, or one of the known ones with more that goes wrong."""
    if dice.random() < 0.5:
        case = Case(seconds=round(dice.uniform(0, seconds), 4))
    else:
        case = dice.choice(known)
    recover = None
    if dice.random() < 0.6:
        recover = At(dice.choice(("step", "fsync")), dice.randint(1, SECOND_KILLS))
    return Case(case.at, case.seconds, dice.random() < 0.4, recover)
