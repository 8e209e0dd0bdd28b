"""The verbs group pin and group unpin: keep groups from every delete, or let go of them."""

from collections.abc import Sequence

from vmsnap.engine.changing import holding, preview_operation, recorded
from vmsnap.engine.find import find_known_domain, pick_group
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import execute
from vmsnap.engine.requests import PinRequest
from vmsnap.engine.results import PinResult
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import StateError
from vmsnap.model import CatalogChange, Group, GroupState, Operation
from vmsnap.ports import Ports


def pin_groups(ports: Ports, domain: str, groups: Sequence[str], request: PinRequest) -> PinResult:
    """Pin groups, or let go of them; those that are so already are left as they are.

    A row changes, and nothing else: whether the domain runs, or is defined at all, makes no
    difference. Refused (nothing is changed) for a group that is not whole: one that is being
    deleted cannot be kept any more.
    """
    verb = "group pin" if request.pinned else "group unpin"
    domain_id, name = find_known_domain(ports, domain, ports.hypervisor.host_id())
    if request.dry_run:
        operation = preview_operation(ports, domain_id, verb)
        changed, same = _sorted_out(ports, operation, (name, groups), request)
        return _result(name, changed, same, request)
    with holding(ports, domain_id, verb) as begun:
        name = begun.domain_name
        changed, same = _sorted_out(ports, begun, (name, groups), request)
        if changed:
            names = [group.name for group in changed]
            with recorded(ports, begun, names) as operation:
                change = CatalogChange(pins={group.id: request.pinned for group in changed})
                execute(ports, operation, [Reserve(), Commit(change), Finish()])
        return _result(name, changed, same, request)


def _sorted_out(
    ports: Ports, operation: Operation, names: tuple[str, Sequence[str]], request: PinRequest
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Part the groups that change from those that are so already."""
    domain_name, texts = names
    known = ports.catalog.groups(operation.host_id, operation.domain_id)
    picked = {
        group.id: group for group in (pick_group(ports, known, domain_name, text) for text in texts)
    }
    for group in picked.values():
        if request.pinned and group.state is not GroupState.READY:
            message = f"the state of group '{group.name}' is '{group.state.value}'"
            hint = f"vmsnap group list {operands(domain_name)}"
            raise StateError(message, hint=hint)
    changed = tuple(item for item in picked.values() if item.is_pinned is not request.pinned)
    return changed, tuple(item for item in picked.values() if item.is_pinned is request.pinned)


def _result(
    domain_name: str, changed: Sequence[Group], same: Sequence[Group], request: PinRequest
) -> PinResult:
    already = "pinned already" if request.pinned else "not pinned"
    return PinResult(
        domain_name=domain_name,
        groups=tuple(group.name for group in changed),
        is_pinned=request.pinned,
        is_done=not request.dry_run and bool(changed),
        notes=tuple(f"group '{group.name}' is {already}" for group in same),
    )
