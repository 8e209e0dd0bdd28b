"""The verb prune."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from typer.models import OptionInfo

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Bandwidth, DryRun, bytes_per_second, duration
from vmsnap.cli.session import Session
from vmsnap.cli.several import All, Chosen, Domains, answer_of, run_on_each
from vmsnap.cli.terminal.answer import Answer
from vmsnap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from vmsnap.config import KeepSettings
    from vmsnap.engine.requests import PruneRequest
    from vmsnap.engine.results import PruneResult
    from vmsnap.engine.retention import PointKind, Policy
    from vmsnap.engine.side_by_side import Ended
    from vmsnap.ports import Ports

EPILOG = epilog(
    "vmsnap prune web1 --keep-daily 7 --keep-weekly 4 --dry-run",
    "vmsnap prune web1 --keep-within 30d --keep-name 'before-*'",
    "vmsnap prune --all -q",
    "vmsnap prune web1 --keep-within 1d --allow-empty web1",
    statuses=(3, 11, 14, 16, 17, 20, 21, 22, 24, 30, 75),
)
_PARTIAL = 3


@dataclass(frozen=True, slots=True)
class _Typed:
    """The rules of the command line."""

    last: int | None
    hourly: int | None
    daily: int | None
    weekly: int | None
    monthly: int | None
    yearly: int | None
    within: "timedelta | None"
    names: tuple[str, ...]
    safety: "timedelta | None"

    @property
    def is_given(self) -> bool:
        """Whether any rule was typed: those of config.toml do not hold then."""
        numbers = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        return any(rule is not None for rule in (*numbers, self.within)) or bool(self.names)


def _count(option: str, what: str) -> OptionInfo:
    found: OptionInfo = typer.Option(option, metavar="N", min=0, help=f"Keep the last {what}.")
    return found


def prune(
    context: typer.Context,
    domains: Domains = None,
    *,
    all_: All = False,
    keep_last: Annotated[int | None, _count("--keep-last", "N points")] = None,
    keep_hourly: Annotated[int | None, _count("--keep-hourly", "of each of N hours")] = None,
    keep_daily: Annotated[int | None, _count("--keep-daily", "of each of N days")] = None,
    keep_weekly: Annotated[int | None, _count("--keep-weekly", "of each of N weeks")] = None,
    keep_monthly: Annotated[int | None, _count("--keep-monthly", "of each of N months")] = None,
    keep_yearly: Annotated[int | None, _count("--keep-yearly", "of each of N years")] = None,
    keep_within: Annotated[
        str | None,
        typer.Option("--keep-within", metavar="AGE", help="Keep all that is younger: 12h, 30d."),
    ] = None,
    keep_name: Annotated[
        list[str] | None,
        typer.Option(
            "--keep-name", metavar="GLOB", help="Keep all that is named so; can be repeated."
        ),
    ] = None,
    keep_safety: Annotated[
        str | None,
        typer.Option(
            "--keep-safety",
            metavar="AGE",
            help="Keep safety groups and safety backups that are younger; 14d if not given.",
        ),
    ] = None,
    groups: Annotated[bool, typer.Option("--groups", help="Prune groups, and no backups.")] = False,
    backups: Annotated[
        bool, typer.Option("--backups", help="Prune backups of their own, and no groups.")
    ] = False,
    allow_empty: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-empty",
            metavar="DOMAIN",
            help="Let this domain lose its last group or backup too; can be repeated.",
        ),
    ] = None,
    bandwidth: Bandwidth = None,
    dry_run: DryRun = False,
) -> Answer:
    """Delete the groups and backups that no rule keeps.

    The rules add up. Of each hour, day, week, month or year, in local time, the last point is kept;
    N counts those that have a point. Groups, and backups of their own, are counted apart. Without a
    rule on the command line those of config.toml hold; without any, nothing is pruned (2).

    Pinned groups stay. So do the newest complete group of a domain and its newest complete backup.
    A damaged point counts for no rule and stays, to be looked at; so does one whose time is still
    to come. Safety groups and safety backups go by their age alone, the one that 'vmsnap undo'
    would need too.

    Nothing is asked. Each point is listed with the reason why it stays or goes. All of a domain
    goes in one operation; while it runs, layers may wait as those of 'group delete' do (3). What an
    earlier run left unfinished goes on.
    """
    session: Session = context.obj
    typed = _Typed(
        last=keep_last,
        hourly=keep_hourly,
        daily=keep_daily,
        weekly=keep_weekly,
        monthly=keep_monthly,
        yearly=keep_yearly,
        within=duration(keep_within, "--keep-within"),
        names=tuple(keep_name or ()),
        safety=duration(keep_safety, "--keep-safety"),
    )
    settings = session.settings
    speed = bytes_per_second(bandwidth)

    emptied: set[str] = set()

    def request_for(name: str) -> "PruneRequest":
        from vmsnap.engine.requests import PruneRequest

        return PruneRequest(
            policy=_policy(typed, settings.for_domain(name).keep),
            kinds=_kinds(groups=groups, backups=backups),
            may_be_empty=name in emptied,
            skips_unruled=all_,
            bandwidth=speed,
            dry_run=dry_run,
        )

    def work(ports: "Ports", domain: str) -> "PruneResult":
        from vmsnap.engine.prune import prune_domain

        return prune_domain(ports, domain, request_for)

    def require(ports: "Ports", pruned: "Sequence[str]") -> None:
        from vmsnap.engine.prune import names_among

        emptied.update(names_among(ports, allow_empty or (), pruned))

    ended = run_on_each(
        session,
        context,
        Chosen(domains, all_, require),
        work,
        dry_run=dry_run,
        makes_database=False,
    )
    _require_a_rule(ended)
    return answer_of(ended, _answer, is_done=not dry_run, lists=("points",))


def _policy(typed: _Typed, settings: "KeepSettings") -> "Policy":
    """Take the rules of the command line, or else all those of config.toml."""
    from vmsnap.engine.retention import SAFETY_LIMIT, Policy

    rules = typed if typed.is_given else settings
    limits = [limit for limit in (typed.safety, settings.safety) if limit is not None]
    return Policy(
        last=rules.last or 0,
        hourly=rules.hourly or 0,
        daily=rules.daily or 0,
        weekly=rules.weekly or 0,
        monthly=rules.monthly or 0,
        yearly=rules.yearly or 0,
        within=rules.within,
        names=rules.names,
        safety=limits[0] if limits else SAFETY_LIMIT,
    )


def _kinds(*, groups: bool, backups: bool) -> "frozenset[PointKind]":
    """Return the kinds that were asked for: all, if neither was or both."""
    from vmsnap.engine.retention import PointKind

    return frozenset(kind for kind in PointKind if groups == backups or kind.is_backup is backups)


def _require_a_rule(ended: "Sequence[Ended[PruneResult]]") -> None:
    """Refuse, where all domains were meant and none has a rule."""
    results = [item.result for item in ended if item.result is not None]
    if results and len(results) == len(ended) and not any(item.is_ruled for item in results):
        message = "no rule says what to keep, of no domain of this host"
        raise UsageError(message, hint="vmsnap prune --all --keep-daily 7 --dry-run")


def _answer(result: "PruneResult") -> Answer:
    from vmsnap.cli.documents.prune import pruned
    from vmsnap.cli.render.prune import pruned as shown
    from vmsnap.cli.verbs.group_change import unmerged

    is_partial = bool(result.unmerged)
    return Answer(
        pruned(result),
        shown(result),
        changed=result.is_done,
        exit_code=_PARTIAL if is_partial else 0,
        errors=unmerged(result.deletion) if is_partial and result.deletion is not None else (),
    )
