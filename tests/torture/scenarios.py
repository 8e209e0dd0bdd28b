"""The verbs that are tortured: what each starts from, what is typed, and in which states."""

from collections.abc import Callable
from dataclasses import dataclass

from livebed.killing import Ended, Runner
from livebed.machine import virsh
from livebed.world import World

OFF, RUNNING, PAUSED = "off", "running", "paused"
LIVE = (RUNNING, PAUSED)
EVERY = (OFF, RUNNING, PAUSED)


@dataclass(frozen=True)
class Scenario:
    """One verb.

    `prepare` is done while the machine is off. `words` follow "vmsnap"; NAME and SOURCE stand for
    the machine and the other one. `must_finish`: it starts from what an earlier kill left behind a
    commit, so that only its end is right; "before" if that kill was before the commit.
    """

    verb: str
    prepare: Callable[[World, Runner], object]
    words: tuple[str, ...]
    states: tuple[str, ...] = (OFF,)
    is_interrupted: bool = False


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


def undefined(world: World, run: Runner) -> None:
    """Undefine the machine, as an administrator does who has forgotten vmsnap."""
    weekly(world, run)
    virsh("undefine", world.machine.id, "--keep-nvram")


def killed(
    prepare: Callable[[World, Runner], None], *words: str, behind: str
) -> Callable[[World, Runner], Ended]:
    """Prepare, and kill a verb behind the first of the steps of that name."""

    def do(world: World, run: Runner) -> Ended:
        from livebed.killing import At

        prepare(world, run)
        typed = filled(words, world)
        begin = world.save("before the first kill")
        steps = run(*typed, status=0).steps
        begin.put_back()
        begin.remove()
        ended = run(*typed, at=At("step", steps.index(behind) + 1))
        assert ended.was_killed, ended.stderr
        return ended

    return do


def filled(words: tuple[str, ...], world: World) -> tuple[str, ...]:
    """Return the words of a command with the machines' names in it."""
    names = {"NAME": world.name, "SOURCE": world.source}
    return tuple(names.get(word, word) for word in words)


CREATE = ("snapshot", "create", "NAME", "--name", "wednesday")
REVERT = ("group", "revert", "NAME", "monday")
DELETE = ("group", "delete", "NAME", "monday", "--yes")

SCENARIOS = (
    Scenario("snapshot create, the first", nothing, CREATE),
    Scenario("snapshot create", one_group, CREATE, EVERY),
    Scenario("snapshot create --suspend", one_group, (*CREATE, "--suspend"), LIVE),
    Scenario("snapshot delete", two_groups, ("snapshot", "delete", "NAME", "monday/vda", "--yes"), EVERY),
    Scenario("group revert", two_groups, REVERT),
    Scenario("group revert --no-safety", two_groups, (*REVERT, "--no-safety", "--yes")),
    Scenario("group delete, the first", two_groups, DELETE, EVERY),
    Scenario("group delete, the last", much_since, ("group", "delete", "NAME", "tuesday", "--yes"), EVERY),
    Scenario("group delete, two", two_groups, ("group", "delete", "NAME", "monday", "tuesday", "--yes"), EVERY),
    Scenario("group delete --children", reverted, ("group", "delete", "NAME", "monday", "--children", "--yes")),
    Scenario("group ungroup", two_groups, ("group", "ungroup", "NAME", "monday"), EVERY),
    Scenario("group ungroup --drop-backup", two_groups, ("group", "ungroup", "NAME", "monday", "--drop-backup")),
    Scenario("backup create", one_group, ("backup", "create", "NAME", "--name", "weekly"), (OFF, PAUSED)),
    Scenario("backup create --replace", weekly, ("backup", "create", "NAME", "--name", "weekly", "--replace")),
    Scenario("backup restore", one_group, ("backup", "restore", "NAME", "monday")),
    Scenario("backup delete", weekly, ("backup", "delete", "NAME", "weekly", "--yes"), (OFF, PAUSED)),
    Scenario("backup clone", one_group, ("backup", "clone", "SOURCE", "NAME")),
    Scenario("backup clone --tpm keep", one_group, ("backup", "clone", "SOURCE", "NAME", "--tpm", "keep")),
    Scenario("undo of a revert", reverted, ("undo", "NAME")),
    Scenario("undo of a restore", restored, ("undo", "NAME")),
    Scenario("undo of a clone", cloned, ("undo", "NAME")),
    Scenario("purge", undefined, ("purge", "NAME", "--yes")),
    Scenario("recover of a create", killed(one_group, *CREATE, behind="do switch_disks"), ("recover",), is_interrupted=True),
    Scenario("recover of a revert, back", killed(two_groups, *REVERT, behind="do swap_host_file"), ("recover",), is_interrupted=True),
    Scenario("recover of a revert, on", killed(two_groups, *REVERT, behind="do commit"), ("recover",), is_interrupted=True),
    Scenario("recover of a delete", killed(two_groups, *DELETE, behind="do merge_layers"), ("recover",), is_interrupted=True),
)  # fmt: skip
