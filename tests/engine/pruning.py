"""Pruning a machine, and what is asked of it then."""

from datetime import timedelta
from types import MappingProxyType

from vmsnap.engine.listing import list_groups
from vmsnap.engine.prune import prune_domain
from vmsnap.engine.requests import PruneRequest
from vmsnap.engine.retention import PointKind, Policy
from vmsnap.model import ResourceKind

NOTHING = MappingProxyType({"within": timedelta(milliseconds=1), "may_be_empty": True})
"""Options that keep no point."""


def prune(world, only=None, **options):
    policy = Policy(**{key: options.pop(key) for key in tuple(options) if hasattr(Policy(), key)})
    kinds = frozenset(PointKind if only is None else only)
    request = PruneRequest(policy, kinds, **options)
    return prune_domain(world.ports, world.name, lambda _name: request)


def names(world):
    return [group.name for group in world.rows()[0]]


def backups(world):
    return [item.name for item in world.rows()[1] if item.kind is not ResourceKind.GROUP]


def verdicts(result):
    return {item.point.name: (item.is_kept, *item.reasons) for item in result.verdicts}


def going(result):
    return [item.point.name for item in result.going]


def held(world):
    """What each group reads, by its name."""
    views = list_groups(world.ports, world.name).groups
    return {view.group.name: world.group_disks(view) for view in views}


def history(world):
    entries = world.ports.catalog.history()
    return [(item.operation.verb, item.operation.subject, item.outcome) for item in entries]
