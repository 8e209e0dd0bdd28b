"""Ids, each of its own type, and JSON as a type."""

from typing import NewType, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]
HostId = NewType("HostId", str)
"""The host's UUID from libvirt, or its machine id where libvirt makes up a UUID at each start."""
DomainId = NewType("DomainId", str)
"""The domain's UUID: lower case, with hyphens."""
ResourceId = NewType("ResourceId", str)
"""UUID of what owns a backup: a group, or a standalone or safety backup."""
BackupId = NewType("BackupId", str)
"""UUID of one backup row: one type of host file of one resource."""
SnapshotId = NewType("SnapshotId", str)
LayerId = NewType("LayerId", str)
OperationId = NewType("OperationId", str)
Digest = NewType("Digest", str)
"""SHA-256 of a content: 64 lower-case hex digits."""
