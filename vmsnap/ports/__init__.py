"""What the engine needs from outside: Protocols whose docstrings are the contract.

Every call that leaves the process has a time limit and ends with a result or with one of the
errors that its docstring names. Adapters translate foreign exceptions; nothing else passes through.
"""

from vmsnap.ports.all import Ports
from vmsnap.ports.catalog import Catalog, Draft
from vmsnap.ports.hooks import Hook, HookMoment, Hooks
from vmsnap.ports.host_files import FileIdentity, HostFileReading, HostFiles, HostFileSpec
from vmsnap.ports.hypervisor import Definitions, Hypervisor, LiveMerge, MergeKind
from vmsnap.ports.identity_files import IdentityFiles
from vmsnap.ports.images import Images
from vmsnap.ports.run import (
    Clock,
    GuestStop,
    GuestWatch,
    GuestWatcher,
    Holder,
    JournalFiles,
    Locks,
    Progress,
    Reporter,
)

__all__ = [
    "Catalog",
    "Clock",
    "Definitions",
    "Draft",
    "FileIdentity",
    "GuestStop",
    "GuestWatch",
    "GuestWatcher",
    "Holder",
    "Hook",
    "HookMoment",
    "Hooks",
    "HostFileReading",
    "HostFileSpec",
    "HostFiles",
    "Hypervisor",
    "IdentityFiles",
    "Images",
    "JournalFiles",
    "LiveMerge",
    "Locks",
    "MergeKind",
    "Ports",
    "Progress",
    "Reporter",
]
