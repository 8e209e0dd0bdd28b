"""The verbs that are tortured: what each starts from, what is typed, and in which states."""

from collections.abc import Callable
from dataclasses import dataclass

from livebed.killing import Runner
from livebed.machine import virsh
from livebed.world import World

OFF, RUNNING, PAUSED = "off", "running", "paused"
LIVE = (RUNNING, PAUSED)
EVERY = (OFF, RUNNING, PAUSED)


@dataclass(frozen=True)
class Scenario:
    """One verb.

    `prepare` is done while the machine is off. `words` follow "vmsnap"; NAME and SOURCE stand for
    the machine and the other one. `first` was killed before, behind its first step `behind`, so
    that only the end of `words` is right.
    """

    verb: str
    prepare: Callable[[World, Runner], object]
    words: tuple[str, ...]
    states: tuple[str, ...] = (OFF,)
    first: tuple[str, ...] = ()
    behind: str = ""


def nothing(world: World, run: Runner) -> None:
    """Leave the machine without a group."""


def one_group(world: World, run: Runner) -> None:
    """Make a group, and change everything since."""
    run("snapshot", "create", world.name, "--name", "monday", status=0)
    world.change(1)


def two_groups(world: World, run: Runner) -> None:
    """Make two groups on each other."""
    one_group(world, run)
    run("snapshot", "create", world.name, "--name", "tuesday", status=0)
    world.change(2)


def much_since(world: World, run: Runner) -> None:
    """Put more on the layer that tuesday froze than it holds, so that it is pulled."""
    two_groups(world, run)
    for target, path in world.disks().items():
        world.write(target, path, 4, "1536k")


def reverted(world: World, run: Runner) -> None:
    """Go back, and on from there: a branch."""
    two_groups(world, run)
    run("group", "revert", world.name, "monday", status=0)
    world.change(3)


def restored(world: World, run: Runner) -> None:
    """Bring the host files of a group back."""
    one_group(world, run)
    run("backup", "restore", world.name, "monday", status=0)


def cloned(world: World, run: Runner) -> None:
    """Give the machine another one's host files."""
    one_group(world, run)
    run("backup", "clone", world.source, world.name, status=0)


def weekly(world: World, run: Runner) -> None:
    """Make a group, and a backup that stands alone."""
    one_group(world, run)
    run("backup", "create", world.name, "--name", "weekly", status=0)
    world.change(2)


def aged(world: World, run: Runner) -> None:
    """Make two groups and two backups that stand alone, of which the older ones are to go."""
    two_groups(world, run)
    for name in ("weekly", "newer"):
        run("backup", "create", world.name, "--name", name, status=0)
    world.change(3)


def undefined(world: World, run: Runner) -> None:
    """Undefine the machine, as an administrator does who has forgotten vmsnap."""
    weekly(world, run)
    virsh("undefine", world.machine.id, "--keep-nvram")


def ungrouped(world: World, run: Runner) -> None:
    """Let the snapshots of a group stand alone."""
    two_groups(world, run)
    run("group", "ungroup", world.name, "monday", status=0)


def filled(words: tuple[str, ...], world: World) -> tuple[str, ...]:
    """Return the words of a command with the machines' names in it."""
    names = {"NAME": world.name, "SOURCE": world.source}
    return tuple(names.get(word, word) for word in words)


def _of(
    verb: str,
    prepare: Callable[[World, Runner], object],
    command: str,
    states: tuple[str, ...] = (OFF,),
) -> Scenario:
    return Scenario(verb, prepare, tuple(command.split()), states)


def _recover(
    name: str, prepare: Callable[[World, Runner], object], command: str, behind: str
) -> Scenario:
    verb, words = f"recover of a {name}", ("recover",)
    return Scenario(verb, prepare, words, first=tuple(command.split()), behind=behind)


CREATE = "snapshot create NAME --name wednesday"
REVERT = "group revert NAME monday"
DELETE = "group delete NAME"
WEEKLY = "backup create NAME --name weekly"
CLONE = "backup clone SOURCE NAME"

SCENARIOS = (
    _of("snapshot create, the first", nothing, CREATE),
    _of("snapshot create", one_group, CREATE, EVERY),
    _of("snapshot create --suspend", one_group, f"{CREATE} --suspend", LIVE),
    _of("snapshot delete", ungrouped, "snapshot delete NAME monday/vda --yes", EVERY),
    _of("group revert", two_groups, REVERT),
    _of("group revert --no-safety", two_groups, f"{REVERT} --no-safety --yes"),
    _of("group delete, the first", two_groups, f"{DELETE} monday --yes", EVERY),
    _of("group delete, the last", much_since, f"{DELETE} tuesday --yes", EVERY),
    _of("group delete, two", two_groups, f"{DELETE} monday tuesday --yes", EVERY),
    _of("group delete --children", reverted, f"{DELETE} monday --children --yes"),
    _of("group pin", two_groups, "group pin NAME monday", (OFF, PAUSED)),
    _of("group ungroup", two_groups, "group ungroup NAME monday", EVERY),
    _of("group ungroup --drop-backup", two_groups, "group ungroup NAME monday --drop-backup"),
    _of("backup create", one_group, WEEKLY, (OFF, PAUSED)),
    _of("backup create --replace", weekly, f"{WEEKLY} --replace"),
    _of("backup restore", one_group, "backup restore NAME monday"),
    _of("backup delete", weekly, "backup delete NAME weekly --yes", (OFF, PAUSED)),
    _of("backup clone", one_group, CLONE),
    _of("backup clone --tpm keep", one_group, f"{CLONE} --tpm keep"),
    _of("undo of a revert", reverted, "undo NAME"),
    _of("undo of a restore", restored, "undo NAME"),
    _of("undo of a clone", cloned, "undo NAME"),
    _of("prune", aged, "prune NAME --keep-last 1", EVERY),
    _of("prune of backups alone", aged, "prune NAME --keep-last 1 --backups"),
    _of("purge", undefined, "purge NAME --yes"),
    _recover("create", one_group, CREATE, "do switch_disks"),
    _recover("revert, back", two_groups, REVERT, "do swap_host_file"),
    _recover("revert, on", two_groups, REVERT, "do commit"),
    _recover("delete", two_groups, f"{DELETE} monday --yes", "do merge_layers"),
)
