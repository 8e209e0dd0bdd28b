"""What a finding is: its code word, how bad it is, what it means, and what mends it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from vmsnap.model import DomainId
from vmsnap.ports import Ports


class Severity(Enum):
    """How bad a finding is; a note alone leaves doctor's status 0."""

    NOTE = "note"
    WARNING = "warning"
    DANGER = "danger"


class Cure(Enum):
    """How `doctor --fix` mends a finding."""

    SURELY = "surely"
    """It cannot do harm, so it is done."""
    ASKS = "asks"
    """Only a person can know whether it does harm."""
    BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: its code word, which never changes, and what is the same of all of it."""

    code: str
    severity: Severity
    cure: Cure
    meaning: str
    """One sentence without a full stop: what it means for the machine and its groups."""


Mend: TypeAlias = Callable[[Ports], None]
"""Mends one finding; the caller holds the domain's lock and has just found it again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    `subject` names the thing within the domain (a path, a disk's target, a group's name), so that
    the same finding is known again. `message` says of it what is wrong. `command` can be pasted.
    `mend` is None where recovery mends it (the frame of every change), or nothing of vmsnap does.
    """

    kind: Kind
    domain_id: DomainId | None
    domain_name: str | None
    subject: str
    message: str
    command: str
    mend: Mend | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str | None, str]:
        """By which it is known again at another look."""
        return self.kind.code, self.domain_id, self.subject

    @property
    def counts(self) -> bool:
        """Whether it makes doctor's status 3."""
        return self.kind.severity is not Severity.NOTE


def by_hand(finding: Finding) -> Finding:
    """Return a finding that `doctor --fix` leaves, because it cannot mend it as things are."""
    return replace(finding, kind=replace(finding.kind, cure=Cure.BY_HAND), mend=None)
