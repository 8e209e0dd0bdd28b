"""Results as the JSON that scripts read; keys are only ever added."""

from vmsnap.cli.documents.backups import backup, verified
from vmsnap.cli.documents.changes import merge, recovered, resource
from vmsnap.cli.documents.databases import database
from vmsnap.cli.documents.domains import disk, domain, foreign_snapshot, holder, image, verdict
from vmsnap.cli.documents.groups import (
    branch,
    captures,
    check,
    created,
    group,
    instant,
    left_out,
    snapshots,
)
from vmsnap.cli.documents.values import texts

__all__ = [
    "backup",
    "branch",
    "captures",
    "check",
    "created",
    "database",
    "disk",
    "domain",
    "foreign_snapshot",
    "group",
    "holder",
    "image",
    "instant",
    "left_out",
    "merge",
    "recovered",
    "resource",
    "snapshots",
    "texts",
    "verdict",
    "verified",
]
