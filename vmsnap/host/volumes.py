"""Find the files behind disks that name a volume of a storage pool."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from vmsnap.model import Definition, DiskDefinition


def located(
    definitions: Iterable[Definition], look_up: Callable[[str, str], Path | None]
) -> tuple[Definition, ...]:
    """Give each disk that is a volume its path, and no `volume` any more.

    `look_up` gets the names of pool and volume, once for each volume; where it returns None the
    disk stays as it is. A volume of a network pool has no local path, so such a disk gets none.
    """
    found = cache(look_up)

    def with_path(disk: DiskDefinition) -> DiskDefinition:
        path = found(*disk.volume) if disk.volume else None
        if path is None:
            return disk
        return replace(disk, path=path if path.is_absolute() else None, volume=None)

    return tuple(
        replace(definition, disks=tuple(with_path(disk) for disk in definition.disks))
        for definition in definitions
    )
