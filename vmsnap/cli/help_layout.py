"""The places where a help page is laid out in another way than Typer's own."""

from collections.abc import Iterator
from typing import cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandInfo

_ORDER = (
    *("vm", "snapshot", "group", "backup"),
    *("undo", "history", "status", "prune", "purge", "recover", "doctor"),
    *("db", "config", "install-units"),
)


class ProgramInOrder(TyperGroup):
    """Lists the verbs in the order in which they are met; Typer puts groups of them last."""

    def list_commands(self, ctx: object) -> list[str]:
        """Return the names of the verbs."""
        del ctx
        places = {name: place for place, name in enumerate(_ORDER)}
        return sorted(self.commands, key=lambda name: places.get(name, len(places)))


class PlainVerb(TyperCommand):
    """Writes an operand that is needed as everybody does: DOMAIN; Typer writes {DOMAIN}."""

    def collect_usage_pieces(self, ctx: object) -> list[str]:
        """Return the words behind the name of the verb."""
        pieces = super().collect_usage_pieces(cast("typer.Context", ctx))
        return [piece.strip("{}") for piece in pieces]


def lay_out(app: typer.Typer) -> None:
    """Give all verbs of an app this layout: Typer has no setting for that."""
    for verb in _verbs(app):
        verb.cls = PlainVerb


def _verbs(app: typer.Typer) -> Iterator[CommandInfo]:
    yield from app.registered_commands
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from _verbs(group.typer_instance)
