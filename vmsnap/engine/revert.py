"""The verb revert: bring back exactly the machine that a group holds, or change nothing."""

from collections.abc import Sequence

from vmsnap.engine.changing import changing, preview_operation, refuse_unsafe, require_changeable
from vmsnap.engine.check import DISK_CHANGES, DOMAIN_STATES, check_group
from vmsnap.engine.diff import change_lines, compare
from vmsnap.engine.find import find_domain_id, find_group
from vmsnap.engine.foreign import foreign_notes
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import execute
from vmsnap.engine.power import look_as_planned, power_changes, powered
from vmsnap.engine.requests import RevertRequest
from vmsnap.engine.results import Reason, RevertResult
from vmsnap.engine.returning import Way, plan_way
from vmsnap.engine.returning_disks import Goal
from vmsnap.errors import NotAvailableError, StateError
from vmsnap.model import Domain, Group, Operation
from vmsnap.ports import Ports

VERB = "group revert"


def revert_group(ports: Ports, domain: str, group: str, request: RevertRequest) -> RevertResult:
    """Put a domain that is shut off back to a group.

    What it is now is kept first as a safety group, unless that is renounced. Refused (nothing is
    changed) while it runs, unless it is to be shut down first, and for every reason that
    `check_group` finds and the request does not overrule. Any later failure is taken back.
    """
    domain_id = find_domain_id(ports, domain)
    power = request.power
    extra = power_changes(ports, domain_id, power)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        found = look_as_planned(ports, domain_id, power)
        goal, way = _plan(ports, operation, found, group, request)
        diff = compare(ports, found, goal.group)
        lines = change_lines(diff, leave=goal.leave, keep_definition=goal.keep_definition)
        return _result(found, goal, way, (*extra, *lines), is_done=False)
    with changing(ports, domain_id, VERB, subject=group) as operation:

        def plan(found: Domain) -> tuple[Goal, Way]:
            return _plan(ports, operation, found, group, request)

        with powered(ports, domain_id, power, plan):
            found = ports.hypervisor.domain(domain_id)
            goal, way = plan(found)
            ports.reporter.step(f"reverting domain '{found.name}' to group '{goal.group.name}'")
            execute(ports, operation, way.steps, drafts=way.drafts, contents=way.contents)
        return _result(found, goal, way, extra, is_done=True)


def require_available(domain: Domain, group: Group, reasons: Sequence[Reason]) -> None:
    """Refuse with the first reason; say which flag would overrule it, if one does."""
    if not reasons:
        return
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    message = f"group '{group.name}' of domain '{domain.name}': {reasons[0].message}{more}"
    hint = f"vmsnap group check {operands(domain.name, group.name)}"
    if all(reason.code in DISK_CHANGES for reason in reasons):
        hint = "--allow-disk-changes goes on; --dry-run says what it would mean for each disk"
    leave = {code for reason in reasons if (code := _left_with(reason)) is not None}
    if all(_left_with(reason) is not None for reason in reasons):
        hint = " ".join(sorted(leave))
    raise NotAvailableError(message, hint=hint)


def _plan(
    ports: Ports, operation: Operation, domain: Domain, group_text: str, request: RevertRequest
) -> tuple[Goal, Way]:
    group = find_group(ports, domain, group_text)
    if domain.has_managed_save and not request.drop_managed_save:
        message = f"domain '{domain.name}' has a managed-save image, which would no longer fit"
        raise StateError(message, hint="--drop-managed-save throws the saved RAM away")
    require_changeable(domain, "it can only be reverted", with_managed_save=True)
    refuse_unsafe(ports, domain, "they would not fit the disks any more")
    reasons = [
        reason
        for reason in check_group(ports, domain, group).reasons
        if reason.code not in DOMAIN_STATES and not _is_overruled(reason, request)
    ]
    require_available(domain, group, reasons)
    goal = Goal(
        group=group,
        keep_definition=request.keep_definition,
        with_safety=request.with_safety,
        leave=request.leave,
        drop_managed_save=request.drop_managed_save,
        ends_group=False,
        current_id=group.id,
    )
    return goal, plan_way(ports, operation, domain, goal)


def _left_with(reason: Reason) -> str | None:
    name, _, rest = reason.code.partition("_")
    return f"--leave {name}" if rest in {"skipped", "not_created", "lost"} else None


def _is_overruled(reason: Reason, request: RevertRequest) -> bool:
    if reason.code in DISK_CHANGES:
        return request.allow_disk_changes
    return any(reason.code.startswith(f"{type_.value}_") for type_ in request.leave)


def _result(
    domain: Domain, goal: Goal, way: Way, extra: tuple[str, ...], *, is_done: bool
) -> RevertResult:
    return RevertResult(
        domain_name=domain.name,
        target_name=goal.group.name,
        safety=way.drafts[0].resource if way.drafts else None,
        changes=(*way.changes, *extra),
        is_done=is_done,
        notes=foreign_notes(domain),
        can_undo=not way.not_kept,
        not_kept=way.not_kept,
    )
