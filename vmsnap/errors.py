"""Every failure that vmsnap expects: its class, its exit status and its code word.

An exit status tells at once whether anything was changed: 10 to 19 refused, nothing was changed;
20 to 29 something below failed, what had been changed was undone; 30 the undo failed too. Numbers
and code words are never reused; scripts rely on both.
"""

from typing import ClassVar


class VmsnapError(Exception):
    """The base of all expected failures: one sentence, and a hint that can be pasted."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "bug"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VmsnapError):
    """The command line cannot be meant so; nothing was changed."""

    exit_code = 2
    code = "usage"


class InvalidNameError(UsageError):
    """A name breaks the rules for names; nothing was changed."""

    code = "invalid_name"


class QuestionError(UsageError):
    """A question could not be asked, or was answered with no; nothing was changed."""

    code = "not_confirmed"


class RefusedError(VmsnapError):
    """The base of refusals: nothing was changed."""


class ConfigError(RefusedError):
    """Settings or the database cannot be used; nothing was changed."""

    exit_code = 10
    code = "config"


class AccessError(ConfigError):
    """Whoever runs vmsnap may not use what it needs; nothing was changed.

    Without a hint of its own the command line adds one: the same command as root.
    """

    code = "no_access"


class ProgramMissingError(ConfigError):
    """A program that vmsnap runs is not installed; nothing was changed.

    It is no ImageError: nothing is wrong with an image, so no disk is judged by it.
    """

    code = "program_missing"


class DatabaseUnusableError(ConfigError):
    """The database cannot be opened, read or written; nothing was changed."""

    code = "database_unusable"


class SchemaError(ConfigError):
    """The database's schema is older or newer than this program's; nothing was changed."""

    code = "schema"


class OutputError(ConfigError):
    """The result cannot be written to stdout, for instance to a full disk; nothing was changed.

    What a changing verb did before stays done: such a run ends with 3, as one that is incomplete.
    A verb that failed itself keeps its own status.
    """

    code = "output"


class DomainNotFoundError(RefusedError):
    """No domain has that name or UUID, or a prefix fits several; nothing was changed."""

    exit_code = 11
    code = "domain_not_found"


class ResourceNotFoundError(RefusedError):
    """The domain has no group, backup or snapshot of that name; nothing was changed."""

    exit_code = 12
    code = "not_found"


class GroupNotFoundError(ResourceNotFoundError):
    """The domain has no group of that name; nothing was changed."""

    code = "group_not_found"


class BackupNotFoundError(ResourceNotFoundError):
    """The domain has no backup of that name; nothing was changed."""

    code = "backup_not_found"


class AmbiguousIdError(ResourceNotFoundError):
    """A UUID prefix fits several; nothing was changed."""

    code = "ambiguous_id"


class NameTakenError(RefusedError):
    """The domain has a group or backup of that name already; nothing was changed."""

    exit_code = 13
    code = "name_taken"


class StateError(RefusedError):
    """The domain or group is in a state that does not allow this; nothing was changed."""

    exit_code = 14
    code = "wrong_state"


class DomainRunningError(StateError):
    """The domain is not shut off; nothing was changed."""

    code = "domain_running"


class UnsupportedError(StateError):
    """The domain has something that vmsnap cannot keep or handle; nothing was changed."""

    code = "unsupported"


class InUseError(StateError):
    """Another domain or disk uses an image that would be changed; nothing was changed."""

    code = "in_use"


class PinnedError(StateError):
    """A group is pinned: it is neither deleted nor ungrouped; nothing was changed."""

    code = "pinned"


class UndoRefusedError(StateError):
    """There is nothing to undo, or undoing would surprise; nothing was changed."""

    code = "undo_refused"


class OtherHostError(StateError):
    """Another host owns this, or has an operation pending on it; nothing was changed."""

    code = "other_host"


class NotAvailableError(RefusedError):
    """The group or backup cannot be brought back as it was; nothing was changed."""

    exit_code = 15
    code = "not_available"


class NoSpaceError(RefusedError):
    """There is not enough space; nothing was changed."""

    exit_code = 16
    code = "no_space"


class HookError(RefusedError):
    """A hook failed; one that may stop operations kept this from being begun."""

    exit_code = 17
    code = "hook"


class UndoneError(VmsnapError):
    """The base of failures after which what had been changed was undone."""


class LibvirtError(UndoneError):
    """Libvirt failed or did not answer in time; changes were undone."""

    exit_code = 20
    code = "libvirt"


class HostFileError(UndoneError):
    """A host file cannot be read or written; changes were undone."""

    exit_code = 21
    code = "host_file"


class HostFileChangedError(HostFileError):
    """A host file changed while it was being read; changes were undone."""

    code = "host_file_changed"


class DatabaseError(UndoneError):
    """The database failed in the middle; changes were undone."""

    exit_code = 22
    code = "database"


class ContentError(UndoneError):
    """Contents are missing or do not match their digest; changes were undone."""

    exit_code = 23
    code = "content"


class ImageError(UndoneError):
    """A disk image cannot be read, made or merged; changes were undone."""

    exit_code = 24
    code = "image"


class ImageExistsError(ImageError):
    """A file of an overlay's name exists already; it was left alone."""

    code = "image_exists"


class LeftChangedError(VmsnapError):
    """The undo failed too: the host was left changed until `vmsnap recover` succeeds."""

    exit_code = 30
    code = "left_changed"


class BusyError(VmsnapError):
    """Another operation holds the domain; nothing was changed, try again later."""

    exit_code = 75
    code = "busy"


class SignalError(VmsnapError):
    """A signal ended the run; the journal's rules were applied before it did."""

    exit_code = 130
    code = "interrupted"


class TerminatedError(SignalError):
    """SIGTERM ended the run; the journal's rules were applied before it did."""

    exit_code = 143
    code = "terminated"
