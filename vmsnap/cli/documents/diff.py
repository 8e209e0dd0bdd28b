"""The difference between a domain and a group as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.documents.values import path_text
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.diff import GroupDiff
    from vmsnap.model import JsonObject


def difference(found: "GroupDiff") -> "JsonObject":
    """Say what a revert would change; the definition's lines hold no passwords."""
    return {
        "domain": found.domain_name,
        "group": found.group.name,
        "group_uuid": found.group.id,
        "created_at": utc_time(found.group.resource.created_at),
        "age_seconds": found.age_seconds,
        "disks": [
            {
                "target": disk.target,
                "state": disk.state,
                "path": path_text(disk.path),
                "frozen_path": path_text(disk.frozen_path),
                "lost_bytes": disk.lost_bytes,
            }
            for disk in found.disks
        ],
        "host_files": [
            {
                "type": file.type.value,
                "state": file.state,
                "path": path_text(file.path),
                "remark": file.remark,
            }
            for file in found.host_files
        ],
        "definition": None if found.definition is None else list(found.definition),
        "reasons": list(found.reasons),
    }
