"""The lists of all findings that doctor looks for, in the order in which they are shown."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from vmsnap.engine.findings.finding import Finding
from vmsnap.engine.findings.foreign import find_checkpoints, find_foreign_snapshots
from vmsnap.engine.findings.host import find_orphans, find_unreferenced_contents
from vmsnap.engine.findings.host_files import find_readable_host_files
from vmsnap.engine.findings.identity import find_stale_identity
from vmsnap.engine.findings.interruptions import (
    find_fence,
    find_journal,
    find_pending,
    find_pending_elsewhere,
    find_standing_guest,
)
from vmsnap.engine.findings.layers import (
    find_broken_disks,
    find_broken_layers,
    find_changed_layers,
    find_deep_chains,
    find_other_chains,
    find_readable_layers,
    find_wrong_tops,
)
from vmsnap.engine.findings.records import find_foreign_records, find_readable_records
from vmsnap.engine.findings.rows import (
    find_damaged_contents,
    find_gone_domain,
    find_waiting_deletes,
)
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.findings.staged import find_staged_host_files
from vmsnap.ports import Ports

OfDomain: TypeAlias = Callable[[Scene], Iterator[Finding]]
OfHost: TypeAlias = Callable[[Ports], Iterator[Finding]]

OF_DOMAINS: tuple[OfDomain, ...] = (
    find_journal,
    find_fence,
    find_pending,
    find_pending_elsewhere,
    find_standing_guest,
    find_broken_disks,
    find_broken_layers,
    find_changed_layers,
    find_other_chains,
    find_wrong_tops,
    find_damaged_contents,
    find_readable_host_files,
    find_readable_layers,
    find_deep_chains,
    find_foreign_snapshots,
    find_checkpoints,
    find_stale_identity,
    find_foreign_records,
    find_readable_records,
    find_waiting_deletes,
    find_gone_domain,
)
"""One domain's. Each is handed what was read of it and finds one sort of thing."""

WITHOUT_DATABASE: tuple[OfDomain, ...] = (
    find_journal,
    find_fence,
    find_standing_guest,
    find_broken_disks,
    find_readable_host_files,
    find_deep_chains,
)
"""Those that are true as well while the database cannot be opened."""

OF_HOST: tuple[OfHost, ...] = (
    find_orphans,
    find_staged_host_files,
    find_unreferenced_contents,
)
"""What belongs to the host as a whole, or can only be told by looking at all of its domains."""
