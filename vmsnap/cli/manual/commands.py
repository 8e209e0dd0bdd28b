"""The commands as plain values, read from the Typer app: what pages and completions are made of."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from vmsnap.cli.app import app
from vmsnap.cli.help_text import blocks

KINDS = {
    "DOMAIN": "domain",
    "SOURCE": "domain",
    "GROUP": "group",
    "BACKUP": "backup",
    "SNAPSHOT": "snapshot",
    "TARGET": "disk",
    "FILE": "file",
    "DIR": "folder",
}
"""What a shell offers for a word that the help calls so; for any other it offers nothing."""

# These find a domain, too, that is undefined and has left something.
_LOOKING_BACK = (
    *("group list", "group show", "group tree", "snapshot list"),
    *("backup list", "backup show", "backup verify", "history", "doctor"),
)
_KINDS_OF_VERBS = {
    ("purge", "DOMAIN"): "gone",
    ("backup clone", "SOURCE"): "known",
    ("backup clone", "TARGET"): "domain",
    **{(verb, "DOMAIN"): "known" for verb in _LOOKING_BACK},
}
_SUGGESTIONS = {"URI": ("qemu:///system", "qemu:///session")}
_ALONE = ("--help", "--version")


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its flags, the long one first; `value` is what its help calls the value, or ""."""

    flags: tuple[str, ...]
    value: str
    kind: str
    choices: tuple[str, ...]
    help: str
    default: str
    can_repeat: bool

    @property
    def offered(self) -> str:
        """What a shell offers for its value: a kind, `=` and the words, or "" for a flag."""
        if self.choices:
            return f"={' '.join(self.choices)}"
        return (self.kind or "text") if self.value else ""

    @property
    def is_alone(self) -> bool:
        """Whether nothing else is done where it is given."""
        return self.flags[0] in _ALONE


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand: `name` as the help calls it, without brackets and dots."""

    name: str
    kind: str
    help: str
    is_optional: bool
    can_repeat: bool

    @property
    def shown(self) -> str:
        """The operand as a synopsis writes it."""
        dots = "..." if self.can_repeat else ""
        return f"[{self.name}]{dots}" if self.is_optional else f"{self.name}{dots}"


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, or with `commands` a group of them; `words` is empty for the program itself."""

    words: tuple[str, ...]
    summary: str
    description: tuple[str, ...]
    options: tuple[Option, ...]
    operands: tuple[Operand, ...]
    examples: tuple[str, ...]
    statuses: tuple[int, ...]
    commands: tuple["Command", ...]

    @property
    def path(self) -> str:
        """The words that are typed for it: `group delete`."""
        return " ".join(self.words)

    def walk(self) -> Iterator["Command"]:
        """Go through this command and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


_HELP = Option(
    flags=("--help", "-h"),
    value="",
    kind="",
    choices=(),
    help="Show the help and do nothing else.",
    default="",
    can_repeat=False,
)


def program() -> Command:
    """Return the whole program; its options are the global ones, and `--help`."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)  # noqa: S101 - an app with verb groups is one
    found = _command(root, ())
    return replace(found, options=(*found.options, _HELP))


def values_of_options(program: Command) -> dict[str, str]:
    """Map each flag that takes a value to what a shell offers for its value.

    Raises ValueError if the same flag takes different values in two verbs: the shells' tables know
    it by its name alone.
    """
    found: dict[str, str] = {}
    for option in (option for command in program.walk() for option in command.options):
        offered = option.offered
        for flag in option.flags:
            if found.setdefault(flag, offered) != offered:
                raise ValueError(f"option '{flag}' does not take the same everywhere")
    return {flag: offered for flag, offered in found.items() if offered}


def _command(command: TyperGroup | TyperCommand, words: tuple[str, ...]) -> Command:
    summary, *others = _paragraphs(command.help)
    parts = blocks(command.epilog or "")
    options = [each for each in command.params if isinstance(each, TyperOption)]
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    return Command(
        words=words,
        summary=summary,
        description=tuple(others),
        options=tuple(_option(each) for each in options),
        operands=tuple(_operand(each, " ".join(words)) for each in arguments),
        examples=tuple(parts.get("Examples:", ())),
        statuses=tuple(int(line.split()[0]) for line in parts.get("Exit statuses:", ())),
        commands=tuple(_command(child, (*words, name)) for name, child in _children(command)),
    )


def _children(
    command: TyperGroup | TyperCommand,
) -> Iterator[tuple[str, TyperGroup | TyperCommand]]:
    if not isinstance(command, TyperGroup):
        return
    for name in command.list_commands(typer.Context(command)):
        child = command.commands[name]
        assert isinstance(child, TyperGroup | TyperCommand)  # noqa: S101 - Typer makes no others
        if not child.hidden:
            yield name, child


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")]


def _option(option: TyperOption) -> Option:
    choices = tuple(getattr(option.type, "choices", ()))
    value = "" if option.is_flag else option.metavar or "|".join(choices)
    return Option(
        flags=tuple(sorted(option.opts, key=len, reverse=True)),
        value=value,
        kind=KINDS.get(value, ""),
        choices=choices or _SUGGESTIONS.get(value, ()),
        help=" ".join((option.help or "").split()),
        default=_default(option),
        can_repeat=option.multiple,
    )


def _operand(argument: TyperArgument, path: str) -> Operand:
    name = re.sub(r"[\[\].]", "", argument.metavar or str(argument.name).upper())
    return Operand(
        name=name,
        kind=_KINDS_OF_VERBS.get((path, name)) or KINDS.get(name, ""),
        help=" ".join((argument.help or "").split()),
        is_optional=not argument.required,
        can_repeat=argument.nargs == -1,
    )


def _default(option: TyperOption) -> str:
    """Write a default that says something: flags are off and lists are empty without being told."""
    default = getattr(option.default, "value", option.default)
    return "" if default in (None, False, "") else str(default)
