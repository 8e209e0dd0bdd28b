"""Commit a layer into another through a running QEMU, after a look at what it has open."""

from collections.abc import Mapping
from pathlib import Path

from vmsnap.engine.journal import Run
from vmsnap.engine.paths import is_among, is_same
from vmsnap.engine.steps.look import look, look_if_defined
from vmsnap.errors import LibvirtError, StateError
from vmsnap.model import Domain, DomainState, Layer, LayerId
from vmsnap.ports import LiveMerge, MergeKind, Progress


def is_off(run: Run) -> bool:
    """Tell whether the domain is shut off, or not defined any more."""
    domain = look_if_defined(run)
    return domain is None or domain.state is DomainState.SHUT_OFF


def paths_in_use(domain: Domain) -> set[Path]:
    """Return the files that a domain uses now, below the active ones too, and at its next start."""
    now = {
        *domain.active_paths.values(),
        *(path for chain in domain.chains.values() for path in chain),
    }
    return now | {disk.path for disk in domain.definition.disks if disk.path is not None}


def require_unused(run: Run, path: Path) -> None:
    """Raise StateError if the domain uses a file, now or at its next start (H41)."""
    if is_among(path, paths_in_use(look(run))):
        message = f"the domain still uses '{path}'"
        raise StateError(message)


def has_job(run: Run, target: str) -> bool:
    """Tell whether a block job is on a disk, which may be one that could not be ended."""
    domain = look_if_defined(run)
    jobs = domain.block_jobs if domain is not None else ()
    return any(job.target == target for job in jobs)


def commit_live(
    run: Run,
    layer: Layer,
    child: Layer,
    layers: Mapping[LayerId, Layer],
    bandwidth: int,
) -> None:
    """Commit a layer's only child into it; repeated, take over what is under way or done.

    QEMU and libvirt know of no branches, so the recorded tree and QEMU's chain must agree (H40):
    StateError if they do not. `bandwidth` is bytes per second, 0 without a limit.
    """
    domain = look(run)
    _require_only_child(domain.chains.get(layer.target, ()), layer, child, layers)
    kind = MergeKind.COMMIT_ACTIVE if child.is_active else MergeKind.COMMIT
    order = LiveMerge(kind, layer.target, child.path, layer.path, bandwidth)
    progress = telling(run, layer.target, child.path, layer.path)
    run.ports.hypervisor.merge_live(domain.id, order, progress)
    chain = look(run).chains.get(layer.target, ())
    if is_among(child.path, chain) or not is_among(layer.path, chain):
        message = f"libvirt did not merge '{child.path}' into '{layer.path}'"
        raise LibvirtError(message)


def telling(run: Run, target: str, source: Path, into: Path) -> Progress:
    """Return what the progress of one merge is told to."""
    words = f"disk {target}: merging {source.name} into {into.name}"
    return lambda done, total: run.ports.reporter.progress(words, done, total)


def _require_only_child(
    chain: tuple[Path, ...], layer: Layer, child: Layer, layers: Mapping[LayerId, Layer]
) -> None:
    """Refuse unless the child stands on the layer in QEMU's chain, or was merged into it there."""
    place = next((index for index, path in enumerate(chain) if is_same(path, layer.path)), None)
    others = [
        item for item in layers.values() if item.parent_id == layer.id and item.id != child.id
    ]
    above = chain[place - 1] if place else None
    if child.is_active:
        # What was active is merged when the layer is.
        is_right = place == 0 or (place == 1 and is_same(above, child.path))
    else:
        grandchildren = (item.path for item in layers.values() if item.parent_id == child.id)
        is_right = above is not None and is_among(above, (child.path, *grandchildren))
    if place is None or others or not is_right:
        message = (
            f"the running machine does not have '{child.path}' open on '{layer.path}';"
            " they are merged once it is off"
        )
        raise StateError(message)
