"""What a machine and its groups have to be: bytes, sizes and parents, told without any image."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Firmware:
    """What is not on the disks; `memory` stands for the rest of the definition."""

    nvram: bytes
    tpm: bytes
    memory: int


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group: `disks` are those that it holds, `attached` all that the machine had."""

    disks: Mapping[str, bytes]
    attached: frozenset[str]
    firmware: Firmware | None
    """None of a single snapshot: what is left of one disk when its group was ungrouped."""
    parent: str | None
    is_deleting: bool = False
    is_stood_on: bool = False
    """Whether the machine was brought back to it and may have left layers on its own."""

    @property
    def left_out(self) -> frozenset[str]:
        return self.attached - self.disks.keys()


@dataclass
class Model:
    """The machine now, its groups (oldest first), where it stands, and what undo would do."""

    disks: dict[str, bytes]
    firmware: Firmware
    groups: dict[str, KnownGroup] = field(default_factory=dict)
    current: str | None = None
    safety: str | None = None
    backups: dict[str, Firmware] = field(default_factory=dict)
    """What groups that were ungrouped left, by their names."""
    orphans: dict[Path, tuple[str, bytes]] = field(default_factory=dict)
    """Files of detached disks, which somebody may attach again: target and bytes."""

    @property
    def attached(self) -> frozenset[str]:
        return frozenset(self.disks)

    def create(self, name: str, exclude: Collection[str] = ()) -> None:
        held = {target: data for target, data in self.disks.items() if target not in exclude}
        self.groups[name] = KnownGroup(held, self.attached, self.firmware, self.current)
        self.current = name

    def ungroup(self, name: str, singles: Collection[str], *, drop: bool) -> None:
        """Make single snapshots of a group (`GROUP/TARGET`, in this order), and a backup."""
        group = self.groups[name]
        if not drop:
            self.backups[name] = group.firmware
        split: dict[str, KnownGroup] = {}
        for known, other in self.groups.items():
            split[known] = other
            for single in singles if known == name else ():
                held = {single.rpartition("/")[2]: group.disks[single.rpartition("/")[2]]}
                split[single] = replace(group, disks=held, firmware=None, is_stood_on=False)
        self.groups = split
        self.remove([name])

    def whole(self) -> list[str]:
        """Name the groups that are no single snapshots."""
        return [name for name, group in self.groups.items() if group.firmware is not None]

    def go_back(self, name: str, *, keep: bool, safety: str | None, ends: bool) -> None:
        """Make the machine what a group holds; `safety` is what the present is kept as."""
        group = self.groups[name]
        held = frozenset(group.disks)
        targets = held & self.attached if keep else held
        attached = self.attached if keep else held | (self.attached & group.left_out)
        if safety is not None:
            left = frozenset() if keep else self.attached - attached
            kept = {target: self.disks[target] for target in (targets & self.attached) | left}
            self.groups[safety] = KnownGroup(kept, self.attached, self.firmware, self.current)
        self.disks = {
            target: group.disks[target] if target in targets else self.disks[target]
            for target in sorted(attached)
        }
        memory = self.firmware.memory if keep else group.firmware.memory
        self.firmware = replace(group.firmware, memory=memory)
        self.current, self.safety = name, safety
        self.groups[name] = replace(group, is_stood_on=True)
        if ends:
            self.remove([name])
            self.safety = safety

    def was_edited(self) -> bool:
        """Tell whether the definition is neither the group's that it stands on nor the safety's."""
        if self.current is None or self.safety is None or self.current == self.safety:
            return False
        groups = (self.groups[self.current], self.groups[self.safety])
        return not any(self._has_definition_of(group) for group in groups)

    def _has_definition_of(self, group: KnownGroup) -> bool:
        attached = frozenset(group.disks) | (self.attached & group.left_out)
        return (group.firmware.memory, attached) == (self.firmware.memory, self.attached)

    def is_changed_since(self, name: str) -> bool:
        """Tell whether disks were detached or added since a group was made."""
        group = self.groups[name]
        return self.attached | group.left_out != group.attached

    def has_later_than_safety(self) -> bool:
        names = list(self.groups)
        return self.safety is not None and names[-1] != self.safety

    def with_descendants(self, names: Collection[str]) -> list[str]:
        chosen = set(names)
        for name, group in self.groups.items():
            if group.parent in chosen:
                chosen.add(name)
        return [name for name in self.groups if name in chosen]

    def deleting(self) -> list[str]:
        return [name for name, group in self.groups.items() if group.is_deleting]

    def mark_deleting(self, names: Collection[str]) -> None:
        for name in names:
            self.groups[name] = replace(self.groups[name], is_deleting=True)

    def remove(self, names: Collection[str]) -> None:
        parents = {name: self.groups[name].parent for name in names}

        def staying(name: str | None) -> str | None:
            while name in parents:
                name = parents[name]
            return name

        self.groups = {
            name: replace(group, parent=staying(group.parent))
            for name, group in self.groups.items()
            if name not in parents
        }
        self.current = staying(self.current)
        if self.safety in parents:
            self.safety = None

    def copy(self) -> "Model":
        return replace(
            self, disks=dict(self.disks), groups=dict(self.groups), orphans=dict(self.orphans)
        )
