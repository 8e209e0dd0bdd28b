"""Throw a sequence of steps: what is possible now, and what makes trees worth looking at."""

import random
from collections.abc import Collection

from engine.treebed.bed import Bed
from engine.treebed.trap import Trap

KIB = 1024
SMALLEST, LARGEST = 256 * KIB, 1280 * KIB
RUNNING_SHARES = {
    **dict.fromkeys(("detach", "attach", "finish_deletes"), 0.0),
    **dict.fromkeys(("revert", "undo"), 0.05),
}
"""How many of the steps that need the machine off are tried on a running one."""


class Dice:
    """Takes a bed through random steps, each chosen by what there is to act upon."""

    def __init__(
        self, bed: Bed, seed: int, *, running_share: float = 0.0, without: Collection[str] = ()
    ) -> None:
        """Do such a share of the steps that a running machine allows on one, and some verbs never.

        Reverts and the like are not allowed, so of all steps it is less.
        """
        self.bed = bed
        self.running_share = running_share
        self.without = without
        self.chance = random.Random(seed)  # noqa: S311 - a test's dice
        self.names = 0
        self.done = 0

    def play(self, steps: int) -> None:
        """Do at least so many steps, and go on until there were a branch and a delete."""
        self.step("write")
        self.step("create")
        for _ in range(10 * steps):
            is_long = self.done >= steps
            if is_long and self.bed.branched and self.bed.deletes:
                return
            self.step(self._missing() if is_long else None)
        message = "no branch, or no delete, after all that"
        raise AssertionError(message)

    def step(self, verb: str | None = None) -> None:
        model = self.bed.model
        count = len(model.groups)
        weights = {
            "write": 26 if model.disks else 0,
            "firmware": 5,
            "resize": 16 if model.disks else 0,
            "create": (18 if count < 7 else 4) if model.disks else 0,
            "revert": 18 if model.whole() else 0,
            "ungroup": 4 if self._ready() else 0,
            "undo": 14 if model.safety else 1,
            "delete": 4 * count,
            "detach": 3 if len(model.disks) > 1 else 0,
            "attach": 12 if model.orphans else 0,
            "memory": 2,
            "finish_deletes": 10 if model.deleting() else 0,
        }
        weights |= dict.fromkeys(self.without, 0)
        verb = verb or self.chance.choices([*weights], [*weights.values()])[0]
        if self.running_share:
            self._turn_on_or_off(verb)
        before = len(self.bed.script)
        getattr(self, verb)()
        self.done += len(self.bed.script) > before

    def _turn_on_or_off(self, verb: str) -> None:
        share = RUNNING_SHARES.get(verb, self.running_share)
        is_running = self.chance.random() < share
        if is_running and not self.bed.is_running:
            self.bed.start(is_paused=self.chance.random() < 0.5)
        elif self.bed.is_running and not is_running:
            self.bed.stop()

    def _missing(self) -> str:
        if self.bed.branched:
            return "delete" if self.bed.model.groups else "create"
        return "revert" if self._ready() else "create"

    def _ready(self) -> list[str]:
        model = self.bed.model
        return [name for name in model.whole() if not model.groups[name].is_deleting]

    # --- one method a verb ----------------------------------------------------------------------

    def write(self) -> None:
        for target in self.bed.model.disks:
            if self.chance.random() < 0.7:
                spans = [self._span(target) for _ in range(self.chance.randint(1, 4))]
                self.bed.write(target, *spans)

    def _span(self, target: str) -> tuple[str, int, int, int]:
        size = len(self.bed.model.disks[target])
        if self.chance.random() < 0.08:
            return "P", 0, size, self.chance.randint(1, 255)
        grain = self.chance.choice([64 * KIB, 64 * KIB, 4 * KIB, 512])
        offset = self.chance.randrange(0, size, grain)
        if self.chance.random() < 0.15:
            offset = (size - 1) // grain * grain
        length = min(grain * self.chance.randint(1, 4), size - offset)
        how = self.chance.choices(["P", "z", "zu"], [8, 1, 1])[0]
        return how, offset, length, self.chance.randint(1, 255)

    def firmware(self) -> None:
        self.bed.touch_firmware(self.chance.randint(1, 255))

    def resize(self) -> None:
        target = self.chance.choice([*self.bed.model.disks])
        grain = self.chance.choice([64 * KIB, 64 * KIB, 4 * KIB, 512])
        size = self.chance.randrange(SMALLEST, LARGEST + 1, grain)
        # A running machine's disk is only ever made larger.
        if size >= len(self.bed.model.disks[target]) or not self.bed.is_running:
            self.bed.resize(target, size)

    def create(self) -> None:
        exclude: tuple[str, ...] = ()
        if len(self.bed.model.disks) > 1 and self.chance.random() < 0.12:
            exclude = (self.chance.choice([*self.bed.model.disks]),)
        self.names += 1
        self.bed.create(f"g{self.names}", exclude=exclude, trap=self._trap())

    def revert(self) -> None:
        names = self.bed.model.whole()
        if self.chance.random() < 0.95:
            names = self._ready() or names
        name = self.chance.choice(names)
        self.bed.revert(
            name,
            safety=self.chance.random() < 0.7,
            keep=self.chance.random() < 0.2,
            trap=self._trap(),
        )

    def undo(self) -> None:
        self.bed.undo(force=self.chance.random() < 0.5, trap=self._trap())

    def delete(self) -> None:
        groups = [*self.bed.model.groups]
        count = 1 if self.chance.random() < 0.6 else self.chance.randint(1, min(3, len(groups)))
        names = self.chance.sample(groups, count)
        if self.bed.model.current in groups and self.chance.random() < 0.15:
            names = [self.bed.model.current]
        self.bed.delete(*names, children=self.chance.random() < 0.12, trap=self._trap())

    def detach(self) -> None:
        self.bed.detach(self.chance.choice([*self.bed.model.disks]))

    def attach(self) -> None:
        free = [
            number
            for number, (target, _) in enumerate(self.bed.model.orphans.values())
            if target not in self.bed.model.disks
        ]
        if free:
            self.bed.attach(self.chance.choice(free))

    def ungroup(self) -> None:
        name = self.chance.choice(self._ready())
        self.bed.ungroup(name, drop=self.chance.random() < 0.3, trap=self._trap())

    def finish_deletes(self) -> None:
        self.bed.finish_deletes(trap=self._trap())

    def memory(self) -> None:
        self.bed.edit_memory(self.chance.choice([131072, 262144, 524288]))

    def _trap(self) -> Trap | None:
        if self.chance.random() > 0.18:
            return None
        how = self.chance.choices(["error", "kill", "signal"], [2, 3, 1])[0]
        at = self.chance.randint(1, 24)
        recovers_at = self.chance.randint(1, 8) if self.chance.random() < 0.4 else 0
        is_after = self.chance.random() < 0.5
        recovery = None
        if how == "kill" and recovers_at:
            recovery = Trap(recovers_at, ("kill", "error")[at % 2], is_after)
        toggles = bool(self.running_share) and how == "kill" and self.chance.random() < 0.3
        return Trap(at, how, is_after, recovery, toggles=toggles)
