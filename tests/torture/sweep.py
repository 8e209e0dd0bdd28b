"""One verb on one machine, done once to see what it does, then killed again and again."""

import random
import time
import traceback
from dataclasses import dataclass, field

from livebed.killing import At, Ended
from livebed.world import FENCE, Seen, refusal
from torture.bed import STATE_WORDS, Bed, kill_programs, wait_for_programs
from torture.moments import Case, every
from torture.scenarios import OFF, Scenario, filled

HANGS_AFTER_SECONDS = 120.0
GOES_ON_WITHIN_SECONDS = 5.0
STARTED_SHARE = 0.15
"""Of the machines that are off: a start takes longer than all the rest."""


@dataclass
class Result:
    """What became of one case; `name` is the moment's, `failures` are empty if all was well."""

    case: Case
    name: str = ""
    outcome: str = ""
    failures: list[str] = field(default_factory=list)
    runs: list[Ended] = field(default_factory=list)


class Sweep:
    """One scenario in one state, prepared; `start` is put back before each kill."""

    def __init__(self, bed: Bed, scenario: Scenario, state: str) -> None:
        self.bed, self.scenario, self.state = bed, scenario, state
        self.world, self.run = bed.pristine.put_back(), bed.run
        scenario.prepare(self.world, self.run)
        self.words = filled(scenario.words, self.world)
        self.start = self.world.save(f"start of {scenario.verb}")
        self.first = filled(scenario.first, self.world)
        self.first_kill: At | None = None
        self.before: Seen | None = None
        if self.first:
            steps = self.run(*self.first, status=0).steps
            self.first_kill = At("step", steps.index(scenario.behind) + 1)
            self.again()
        else:
            self.before = self._looked_at()
            bed.start(state)
        done = self.run(*self.words, status=0, sees_fsyncs=True)
        self.steps, self.fsyncs, self.seconds = done.steps, done.fsyncs, done.seconds
        left = self.world.leftovers()
        assert left == [], left
        self.after = self._looked_at()
        assert self.before is None or self.after.essence != self.before.essence
        self.cases = every(len(self.steps), self.fsyncs)

    def again(self) -> None:
        """Make everything what it was, and the machine what state it is to be in."""
        self.bed.stop()
        wait_for_programs()
        self.start.put_back()
        self.bed.start(self.state)
        if self.first_kill is not None:
            # Done anew each time: a journal knows files by what a copy of them has not.
            assert self.run(*self.first, at=self.first_kill).was_killed

    def end(self) -> None:
        """Leave nothing that the other beds' recovers would find; remove what was kept."""
        self.bed.stop()
        wait_for_programs()
        self.bed.pristine.put_back()
        self.start.remove()

    def play(self, case: Case, dice: random.Random) -> Result:
        """Kill a run, recover, and hold everything against what it was and is to be."""
        result = Result(case)
        try:
            self.again()
            result.runs.append(self._killed(self.words, case.at, case.seconds))
            result.name = self._name(result.runs[0], case)
            self._look_behind_the_kill(result, dice)
            self._recover(result)
            self._judge(result, dice)
        except Exception:  # noqa: BLE001 - whatever it is, it belongs to this case
            result.failures.append(traceback.format_exc())
        return result

    def _killed(self, words: tuple[str, ...], at: object, seconds: float | None) -> Ended:
        return self.run(*words, at=at, after_seconds=seconds or HANGS_AFTER_SECONDS)

    def _name(self, ended: Ended, case: Case) -> str:
        if case.at is None:
            return "any time"
        names = ended.steps if case.kind == "step" else ended.fsyncs
        if not ended.was_killed or len(names) < case.at.number:
            return "ended before"
        name = names[case.at.number - 1]
        if case.kind == "fsync":
            return f"fsync of {name}"
        if name == "journal append":
            return f"recorded: {names[case.at.number - 2]}"
        return name

    # --- what has to be so at once ---

    def _look_behind_the_kill(self, result: Result, dice: random.Random) -> None:
        if result.case.is_cut:
            kill_programs()
            self.bed.stop()
        elif self.state != OFF:
            self._expect_that_it_goes_on(result)
        if self.state == OFF and self.before is not None:
            self._try_to_start(result, with_qemu=dice.random() < STARTED_SHARE)

    def _expect_that_it_goes_on(self, result: Result) -> None:
        until = time.monotonic() + GOES_ON_WITHIN_SECONDS
        wanted = STATE_WORDS[self.state]
        while (found := self.world.state) != wanted:
            if time.monotonic() > until:
                result.failures.append(f"the guest is left '{found}', not '{wanted}'")
                return
            time.sleep(0.02)

    def _try_to_start(self, result: Result, *, with_qemu: bool) -> None:
        """Do what autostart would do after a power cut: it must not find half a machine."""
        assert self.before is not None
        if not self.world.is_fenced:
            whole = (self.before.machine, self.after.machine)
            if self.world.seen_machine() not in whole:
                result.failures.append("not fenced, and a start would find half a machine")
        elif with_qemu:
            reason = refusal(self.world.machine)
            if reason is None or str(FENCE) not in reason:
                result.failures.append(f"the fence does not keep it from starting: {reason}")

    # --- recovering ---

    def _recover(self, result: Result) -> None:
        if result.case.recover is not None:
            result.runs.append(self._killed(("recover",), result.case.recover, None))
            if self.state != OFF and not result.case.is_cut:
                self._expect_that_it_goes_on(result)
        done = self._killed(("recover", "--wait", "60"), None, None)
        result.runs.append(done)
        if done.status != 0 or done.stderr.startswith("error"):
            result.failures.append(f"recover ended with {done.status}")
        again = self._killed(("recover",), None, None)
        result.runs.append(again)
        if again.status != 0 or again.document["data"]["operations"]:
            result.failures.append("a second recover found something to do")
        if again.document["changed"]:
            result.failures.append("a second recover changed something")

    # --- what has to be so in the end ---

    def _judge(self, result: Result, dice: random.Random) -> None:
        wait_for_programs()
        wanted = STATE_WORDS[OFF if result.case.is_cut else self.state]
        if (found := self.world.state) not in {"", wanted}:
            result.failures.append(f"the machine is '{found}', not '{wanted}'")
        result.failures += [f"left: {text}" for text in self.world.leftovers()]
        self.bed.stop()
        seen = self.world.seen()
        result.outcome = self._outcome(seen)
        if not result.outcome:
            result.failures.append("neither as before nor finished:\n" + self._differences(seen))
        result.failures += [f"damaged: {name}" for name in self.world.damaged()]
        result.failures += [f"torn content: {name}" for name in self.world.torn_contents()]
        if self.bed.seen_other() != self.bed.untouched:
            result.failures.append("the other machine was changed")
        if self.world.definition() and dice.random() < STARTED_SHARE:
            reason = refusal(self.world.machine)
            if reason is not None:
                result.failures.append(f"it does not start: {reason}")

    def _outcome(self, seen: Seen) -> str:
        if self.before is not None and seen.essence == self.before.essence:
            # The files of a machine that was off have to be the same to the byte.
            return "before" if self.state != OFF or seen == self.before else ""
        return "finished" if seen.essence == self.after.essence else ""

    def _differences(self, seen: Seen) -> str:
        lines = []
        for word, wanted in (("before", self.before), ("finished", self.after)):
            if wanted is None:
                continue
            pairs = (
                *zip(("disks", "host files", "modes", "definition"), wanted.machine, seen.machine,
                     strict=True),
                *((was[0], was[1], now[1])
                  for was, now in zip(wanted.groups, seen.groups, strict=True)),
                ("files", wanted.files, seen.files),
            )  # fmt: skip
            lines += [f"{word}: {what}\n  {was}\n  {now}" for what, was, now in pairs if was != now]
        return "\n".join(lines)

    def _looked_at(self) -> Seen:
        self.bed.stop()
        return self.world.seen()
