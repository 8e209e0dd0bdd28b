"""The programs that the administrator wants to be run before and after operations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class HookMoment(Enum):
    """When a hook is run."""

    BEFORE = "before"
    """The domain's lock is held, what was interrupted is recovered, nothing is planned yet."""
    AFTER = "after"
    """The operation has ended, in whatever way; its lock is still held."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A program, and what it is run for; no `operations` or no `domains` means all.

    `operations` are verbs as they are typed, `domains` are patterns of names. `may_stop` says that
    its failure refuses the operation; else it is only warned of.
    """

    moment: HookMoment
    command: tuple[str, ...]
    operations: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    may_stop: bool = False
    timeout_seconds: float = 60.0


class Hooks(Protocol):
    """The hooks of this host."""

    @property
    def configured(self) -> tuple[Hook, ...]:
        """All hooks, in the order in which those that fit are run."""

    def run(
        self, hook: Hook, variables: Mapping[str, str], is_cancelled: Callable[[], bool]
    ) -> None:
        """Run a hook to its end, without a shell, with `variables` and little else to read.

        It gets no descriptor of vmsnap's, no lock either. Whatever ends the call early kills it
        with all that it started. Raises HookError if it cannot be started, fails, or is not done in
        time; KeyboardInterrupt as soon as `is_cancelled` says so.
        """
