"""The verb delete: end groups, and merge their layers away without changing what others read."""

from collections.abc import Sequence

from vmsnap.engine.changing import changing, preview_operation
from vmsnap.engine.deleting import Deletion, deletion_result, deletion_steps, plan_deletion
from vmsnap.engine.find import find_domain_id, pick_group, pick_single
from vmsnap.engine.journal import execute
from vmsnap.engine.requests import DeleteRequest
from vmsnap.engine.results import DeleteResult
from vmsnap.model import Group, Operation, ResourceId
from vmsnap.ports import Ports

VERB = "group delete"
SINGLE_VERB = "snapshot delete"


def delete_groups(
    ports: Ports, domain: str, groups: Sequence[str], request: DeleteRequest
) -> DeleteResult:
    """Delete groups of a domain: these points only, unless `with_children`.

    From the state DELETING on there is only forward. A disk that cannot be merged leaves its groups
    in that state with their whole backup; the next delete of them goes on. So do layers of a domain
    that runs or is paused which only qemu-img could merge: they wait until it is off. Refused
    (nothing is changed) while another machine uses a layer, and for a group that is pinned.
    """
    domain_id = find_domain_id(ports, domain)
    verb = VERB if groups else SINGLE_VERB
    if request.dry_run:
        plan = _plan(ports, preview_operation(ports, domain_id, verb), groups, request)
        return deletion_result(plan, None)
    with changing(ports, domain_id, verb, subject=[*groups, *request.singles]) as operation:
        plan = _plan(ports, operation, groups, request)
        names = ", ".join(f"'{group.name}'" for group in plan.groups)
        ports.reporter.step(f"deleting group {names} of domain '{plan.domain.name}'")
        return deletion_result(
            plan, execute(ports, operation, deletion_steps(plan, request.bandwidth))
        )


def _plan(
    ports: Ports, operation: Operation, texts: Sequence[str], request: DeleteRequest
) -> Deletion:
    domain = ports.hypervisor.domain(operation.domain_id)
    known = ports.catalog.groups(operation.host_id, domain.id)
    picked = [pick_group(ports, known, domain.name, text) for text in texts]
    picked += [pick_single(known, domain.name, text) for text in request.singles]
    chosen = {group.id: group for group in picked}
    if request.with_children:
        _add_children(chosen, known)
    return plan_deletion(ports, operation, tuple(chosen.values()), known)


def _add_children(chosen: dict[ResourceId, Group], known: Sequence[Group]) -> None:
    # Again and again: after the clock was set back, a child looks older than its parent.
    while found := {
        group.id: group for group in known if group.parent_id in chosen and group.id not in chosen
    }:
        chosen |= found
