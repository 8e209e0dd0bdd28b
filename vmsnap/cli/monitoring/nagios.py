"""The status of all domains as one line of a Nagios plugin, whatever happens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Answer, Line
from vmsnap.cli.terminal.text import clean, duration

if TYPE_CHECKING:
    from datetime import timedelta

    from vmsnap.engine.status import DomainStatus

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""The exit statuses of a plugin: https://www.monitoring-plugins.org/doc/guidelines.html."""
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_STATUSES = {None: OK, "warning": WARNING, "critical": CRITICAL}
_NO_LIMIT = "no domain is judged: give --max-age 26h, or max_age in config.toml"


def is_asked_for(verb: str, arguments: Sequence[str]) -> bool:
    """Tell whether a command line wants a plugin; `verb` is as far as it was understood.

    With --json as well it is refused, in a document.
    """
    if "--json" in arguments:
        return False
    return "--nagios" in arguments and (verb == "status" or (not verb and "status" in arguments))


def answer(found: "Sequence[DomainStatus]") -> Answer:
    """Answer in one line, the worst first; behind the bar the age of each domain's group."""
    worst = max((_status(item) for item in found), default=OK)
    judged = [item for item in found if item.expectation.is_judging]
    data = " ".join(_performance(item) for item in found)
    if worst != OK:
        ordered = sorted(found, key=_status, reverse=True)
        texts = [f"{item.domain_name}: {_why(item)}" for item in ordered if item.troubles]
        return _line(worst, f"{len(texts)} of {_domains(found)} not fine; {'; '.join(texts)}", data)
    if not judged:
        # Green for ever, though nothing was looked at, would be the worst answer.
        return _line(UNKNOWN, _NO_LIMIT if found else "this host has no domains", data)
    ages = [item.complete.age.total_seconds() for item in judged if item.complete is not None]
    text = f"{_domains(judged)} with a complete group, the oldest {duration(max(ages))} old"
    return _line(OK, text, data)


def unknown(failed: Answer) -> Answer:
    """Answer for a run that could not find out."""
    messages = "; ".join(problem.message for problem in failed.errors)
    return _line(UNKNOWN, messages or failed.status, "")


def _line(status: int, text: str, data: str) -> Answer:
    shown = _without_bar(clean(text))
    return Answer(
        None,
        (Line(f"{_WORDS[status]} - {shown}" + (f" |{data}" if data else "")),),
        exit_code=status,
    )


def _status(item: "DomainStatus") -> int:
    return _STATUSES[item.level.value if item.level is not None else None]


def _why(item: "DomainStatus") -> str:
    return ", ".join(trouble.message for trouble in item.troubles)


def _domains(found: "Sequence[DomainStatus]") -> str:
    return f"{len(found)} domain{'' if len(found) == 1 else 's'}"


def _performance(item: "DomainStatus") -> str:
    """Write `'label'=value;warning;critical;least`; a domain without a group has the value U."""
    label = _without_bar(clean(item.domain_name)).replace("=", "\\x3d").replace("'", "''")
    limits = ";".join(map(_seconds, (item.expectation.warn_age, item.expectation.max_age)))
    value = f"{_seconds(item.complete.age)}s" if item.complete is not None else "U"
    return f"'{label}'={value};{limits};0"


def _seconds(span: "timedelta | None") -> str:
    return "" if span is None else str(max(0, int(span.total_seconds())))


def _without_bar(text: str) -> str:
    # It parts what is for people from what is for machines.
    return text.replace("|", "\\x7c")
