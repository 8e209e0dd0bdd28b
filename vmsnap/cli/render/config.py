"""The settings as tables for people, made from what scripts read of them."""

from typing import TYPE_CHECKING

from vmsnap.cli.from_config import shown
from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.config import DEFAULT
from vmsnap.config.reference import KEYS

if TYPE_CHECKING:
    from vmsnap.model import JsonObject, JsonValue

_DEFAULT_WORDS = {key.name: key.default for key in KEYS}
_FILES = (Column("CONFIG FILE", folds=True), Column("STATE"))
_SETTINGS = (Column("KEY", "bold"), Column("VALUE", folds=True), Column("FROM", folds=True))
_SECTIONS = (Column("DOMAINS", folds=True), *_SETTINGS)
_HOOKS = (
    Column("HOOK"),
    Column("PROGRAM", "bold", folds=True),
    Column("OPERATIONS", folds=True),
    Column("DOMAINS", folds=True),
    Column("FAILURE", spare=2),
    Column("TIMEOUT", is_number=True, spare=1),
    Column("FROM", folds=True, spare=3),
)


def settings_page(document: "JsonObject", domain: str | None) -> tuple[Block, ...]:
    """Show which files were looked for, each setting with its source, and the hooks."""
    whose = "every domain" if domain is None else f"domain '{domain}'"
    blocks: list[Block] = [
        Table(_FILES, tuple(_file(row) for row in _rows(document, "files"))),
        Line(),
        Table(_SETTINGS, tuple(_setting(row) for row in _rows(document, "settings"))),
        Line(),
        Line(f"for {whose}:", "bold"),
        Table(_SETTINGS, tuple(_setting(row) for row in _rows(document, "domain_settings"))),
    ]
    sections = tuple((str(row["pattern"]), *_setting(row)) for row in _rows(document, "sections"))
    if sections:
        blocks += [Line(), Table(_SECTIONS, sections)]
    hooks = tuple(_hook(row) for row in _rows(document, "hooks"))
    if hooks:
        blocks += [Line(), Table(_HOOKS, hooks)]
    return tuple(blocks)


def _rows(document: "JsonObject", key: str) -> "list[JsonObject]":
    rows = document[key]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _file(row: "JsonObject") -> tuple[str, ...]:
    return str(row["path"]), "read" if row["is_there"] else "not there"


def _setting(row: "JsonObject") -> tuple[str, ...]:
    key, value, source = str(row["key"]), row["value"], str(row["source"])
    if value is None and source == DEFAULT:
        # Not the dash of an empty value: without overlay_dir, say, overlays have a place too.
        return key, _DEFAULT_WORDS[key], source
    return key, shown(value), source


def _hook(row: "JsonObject") -> tuple[str, ...]:
    return (
        str(row["when"]),
        str(row["program"]),
        _or_all(row["operations"]),
        _or_all(row["domains"]),
        str(row["on_failure"]),
        f"{row['timeout']:g} s",
        str(row["source"]),
    )


def _or_all(words: "JsonValue") -> str:
    return shown(words) if words else "all"
