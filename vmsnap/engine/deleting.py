"""Planning the end of groups: what is merged or dropped for it, and in which steps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmsnap.engine.changing import refuse_unsafe, require_changeable
from vmsnap.engine.disks import require_no_other_users, require_room
from vmsnap.engine.foreign import Touched, refuse_ruined
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step
from vmsnap.engine.layers import Action, Kept, Merge, plan_merges, plan_waiting
from vmsnap.engine.results import DeleteResult, MergeResult
from vmsnap.engine.steps.definition import Fence, LiftFence
from vmsnap.engine.steps.endings import EndGroups, WaitingLayer, waiting_fact
from vmsnap.engine.steps.merges import MergeLayers
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.engine.trees import adopted_rows, read_tree
from vmsnap.errors import PinnedError
from vmsnap.model import (
    CatalogChange,
    Domain,
    DomainState,
    Group,
    GroupState,
    JsonObject,
    Layer,
    Operation,
    ResourceId,
)
from vmsnap.ports import Ports


@dataclass(frozen=True, slots=True)
class Deletion:
    """What has to be done so that groups of a domain can end.

    `merges`, `kept` and `later` (what waits until the machine is off) are layers of the disks,
    `adopted` such as had no row yet.
    """

    domain: Domain
    groups: tuple[Group, ...]
    merges: tuple[tuple[str, Merge], ...]
    kept: tuple[tuple[str, Kept], ...]
    adopted: tuple[Layer, ...]
    later: tuple[Merge, ...]


def refuse_pinned(domain_name: str, groups: Collection[Group]) -> None:
    """Raise PinnedError if one of these groups is pinned, unless it is being deleted already."""
    pinned = [group for group in groups if group.is_pinned]
    names = [group.name for group in pinned if group.state is not GroupState.DELETING]
    if not names:
        return
    quoted = ", ".join(f"'{name}'" for name in names)
    what = f"group {quoted}" if len(names) == 1 else f"groups {quoted}"
    verb = "is" if len(names) == 1 else "are"
    message = f"{what} of domain '{domain_name}' {verb} pinned"
    raise PinnedError(message, hint=f"vmsnap group unpin {operands(domain_name, *names)}")


def plan_deletion(
    ports: Ports, operation: Operation, chosen: Sequence[Group], known: Sequence[Group]
) -> Deletion:
    """Plan the end of groups, of all that are `known`; those in the state DELETING go along.

    Refuses what `delete_groups` refuses.
    """
    domain = ports.hypervisor.domain(operation.domain_id)
    ending = {group.id: group for group in chosen}
    # A group that an earlier delete could not finish is not needed any more either.
    ending |= {group.id: group for group in known if group.state is GroupState.DELETING}
    refuse_pinned(domain.name, ending.values())
    require_changeable(domain, "groups can only be deleted", may_run=True)
    refuse_unsafe(ports, domain, "their images cannot be merged then")
    named = {item.layer_id for group in known if group.id not in ending for item in group.snapshots}
    targets = sorted({item.target for group in ending.values() for item in group.snapshots})
    merges: list[tuple[str, Merge]] = []
    kept: list[tuple[str, Kept]] = []
    later: tuple[Merge, ...] = ()
    adopted: tuple[Layer, ...] = ()
    for target in targets:
        adopted += adopted_rows(ports, operation, domain, (target, named))
        tree = read_tree(ports, operation, domain, (target, named))
        planned, stay = plan_merges(tree, is_running=_is_running(domain))
        merges += [(target, merge) for merge in planned]
        kept += [(target, item) for item in stay]
        if _is_running(domain):
            later += plan_waiting(tree)
    plan = Deletion(domain, tuple(ending.values()), tuple(merges), tuple(kept), adopted, later)
    _refuse_foreign_snapshots(ports, plan)
    _require_possible(ports, plan)
    return plan


def deletion_steps(
    plan: Deletion, bandwidth: int = 0, backups: tuple[ResourceId, ...] = ()
) -> list[Step]:
    """Return the steps that end the groups; `bandwidth` limits the merges of a running machine.

    `backups` are backups of their own that go with the commit.
    """
    ids = tuple(group.id for group in plan.groups)
    is_live = _is_running(plan.domain)
    steps: list[Step] = [Reserve()]
    if not is_live:
        # A running machine needs none; what it would keep from a start is under way already.
        steps.append(Fence())
    change = CatalogChange(deleting=ids, layers=plan.adopted, removed_resources=backups)
    steps.append(Commit(change))
    for target, merge in plan.merges:
        step = _merge_step(target, merge)
        steps.append(replace(step, is_live=True, bandwidth=bandwidth) if is_live else step)
    waiting = tuple(
        WaitingLayer(target, item.layer.id, f"layer '{item.layer.path}' waits: {item.reason}")
        for target, item in plan.kept
        if item.waits
    )
    earlier = tuple(group.id for group in plan.groups if group.state is GroupState.DELETING)
    return [*steps, EndGroups(ids, waiting, earlier), LiftFence(), Finish()]


def deletion_result(plan: Deletion, facts: JsonObject | None) -> DeleteResult:
    """Say what became of the groups by the facts of a run; without a run, what would."""
    return DeleteResult(
        domain_name=plan.domain.name,
        groups=tuple(group.name for group in plan.groups),
        results=tuple(
            _merge_result(group, item.target, facts)
            for group in plan.groups
            for item in group.snapshots
        ),
        changes=tuple(_words(target, merge) for target, merge in plan.merges),
        is_done=facts is not None,
        notes=tuple(
            f"disk {target}: layer '{item.layer.path}' stays: {item.reason}"
            for target, item in plan.kept
            if facts is None or not item.waits
        )
        + _taken_in(plan, facts or {}),
    )


def _refuse_foreign_snapshots(ports: Ports, plan: Deletion) -> None:
    """Refuse what would ruin a snapshot that libvirt keeps of its own, now or with the machine off.

    Or a group would be left in the state DELETING that no delete can ever end.
    """
    written: list[Path] = []
    rebased: list[Path] = []
    unlinked: list[Path] = []
    for merge in (*(merge for _, merge in plan.merges), *plan.later):
        victim = merge.child if merge.action is Action.COMMIT else merge.layer
        if merge.action is Action.COMMIT:
            written.append(merge.layer.path)
        elif merge.child is not None:
            rebased.append(merge.child.path)
        if victim is not None and victim.is_disposable:
            unlinked.append(victim.path)
    touched = Touched(tuple(written), tuple(rebased), tuple(unlinked))
    refuse_ruined(ports.images, plan.domain, touched)


def _require_possible(ports: Ports, plan: Deletion) -> None:
    touched = {}
    for target, merge in plan.merges:
        for node in (merge.layer, merge.child):
            if node is not None:
                touched[node.path] = target
    require_no_other_users(ports, plan.domain.id, touched)
    for _, merge in plan.merges:
        written = merge.layer if merge.action is Action.COMMIT else merge.child
        if written is not None:
            require_room(ports.images, written, merge.moved_bytes)


def _is_running(domain: Domain) -> bool:
    return domain.state is not DomainState.SHUT_OFF


def _merge_step(target: str, merge: Merge) -> MergeLayers:
    victim = merge.child if merge.action is Action.COMMIT else merge.layer
    return MergeLayers(
        target=target,
        action=merge.action,
        layer_id=merge.layer.id,
        child_id=merge.child.id if merge.child else None,
        layer_path=merge.layer.path,
        victim=victim.path if victim is not None and victim.is_disposable else None,
        stands_on=merge.stands_on,
        changed=tuple(
            node.id
            for node in (merge.layer, merge.child, *merge.grandchildren)
            if node is not None and node.is_changed
        ),
    )


def _merge_result(group: Group, target: str, facts: JsonObject | None) -> MergeResult:
    if facts is None:
        return MergeResult(group.name, target, merged=False)
    fact = facts.get(f"unmerged:{target}", facts.get(waiting_fact(group.id, target)))
    if isinstance(fact, list):
        code, message = fact
        return MergeResult(group.name, target, merged=False, code=str(code), message=str(message))
    return MergeResult(group.name, target, merged=True)


def _taken_in(plan: Deletion, facts: JsonObject) -> tuple[str, ...]:
    """Say of each layer that was merged although somebody had written to it what that means."""
    changed = dict.fromkeys(
        (target, node.path)
        for target, merge in plan.merges
        for node in (merge.layer, merge.child)
        if node is not None and node.is_changed and merge.child is not None
    )
    return tuple(
        f"disk {target}: what was written to '{path}' after it was frozen is merged too; what"
        " groups read of it stays damaged"
        for target, path in changed
        if f"unmerged:{target}" not in facts
    )


def _words(target: str, merge: Merge) -> str:
    layer = merge.layer.path
    stays = ""
    if not merge.layer.is_ours:
        stays = f"; the file '{layer}' stays, vmsnap did not make it"
    elif merge.layer.is_changed:
        stays = f"; the file '{layer}' stays, it was written to after it was frozen"
    if merge.child is None:
        return f"disk {target}: '{layer}' is dropped{stays}"
    if merge.action is Action.COMMIT:
        return f"disk {target}: '{merge.child.path}' is merged into '{layer}'"
    return f"disk {target}: '{layer}' is merged into '{merge.child.path}'{stays}"
