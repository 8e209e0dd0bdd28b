"""All ports together."""

from collections.abc import Callable
from dataclasses import dataclass

from vmsnap.ports.catalog import Catalog
from vmsnap.ports.hooks import Hooks
from vmsnap.ports.host_files import HostFiles
from vmsnap.ports.hypervisor import Definitions, Hypervisor
from vmsnap.ports.identity_files import IdentityFiles
from vmsnap.ports.images import Images
from vmsnap.ports.run import Clock, GuestWatcher, JournalFiles, Locks, Reporter


@dataclass(frozen=True, slots=True)
class Ports:
    """All that an engine function may use of the outside world."""

    hypervisor: Hypervisor
    definitions: Definitions
    images: Images
    host_files: HostFiles
    catalog: Catalog
    journals: JournalFiles
    locks: Locks
    reporter: Reporter
    clock: Clock
    watcher: GuestWatcher
    identities: IdentityFiles
    hooks: Hooks
    wait_seconds: float = 0.0
    user: str = ""
    """Who runs this, for the history."""
    is_cancelled: Callable[[], bool] = lambda: False
    """Asked before each step: whether a signal told the main thread to end all operations."""
