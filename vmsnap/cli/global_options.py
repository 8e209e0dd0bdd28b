"""Global options after the verb: they are moved before it, so that each is declared once."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vmsnap.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperCommand, TyperGroup

_CLUSTER = re.compile(r"-[A-Za-z]{2,}")


def moved_to_front(root: "TyperGroup", arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the arguments into global options, with their values, and all the rest in order.

    Values of a verb's own options and all that follows `--` are left where they are. Raises
    UsageError if a global option lacks its value.
    """
    known = _flags(root)
    front: list[str] = []
    rest: list[str] = []
    command: TyperGroup | TyperCommand = root
    pending = deque(arguments)
    while pending:
        word = pending.popleft()
        if word == "--":
            rest += [word, *pending]
            break
        own = {} if command is root else _flags(command)
        option, equals, _ = word.partition("=")
        if option in known:
            front.append(word)
            if known[option] and not equals:
                front.append(_value(option, pending, known))
        elif own.get(option) and not equals:
            rest += [word, *([pending.popleft()] if pending else [])]
        elif _CLUSTER.fullmatch(word) and _all_flags(word, {**known, **own}):
            pending.extendleft(f"-{letter}" for letter in reversed(word[1:]))
        else:
            rest.append(word)
            command = _next_command(command, word)
    return front, rest


def command_words(root: "TyperGroup", rest: Sequence[str]) -> str:
    """Name the verb that the arguments lead to, as far as they do: `group delete`."""
    command: TyperGroup | TyperCommand = root
    words: list[str] = []
    for word in rest:
        following = _next_command(command, word)
        if following is command:
            break
        words.append(word)
        command = following
    return " ".join(words)


def _flags(command: "TyperGroup | TyperCommand") -> dict[str, bool]:
    """Map each option of a command to whether it takes a value."""
    return {
        flag: not getattr(parameter, "is_flag", False)
        for parameter in command.params
        if parameter.param_type_name == "option"
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


def _value(option: str, pending: deque[str], known: Mapping[str, bool]) -> str:
    if not pending or pending[0].partition("=")[0] in known:
        raise UsageError(f"option '{option}' needs a value", hint="vmsnap --help")
    return pending.popleft()


def _all_flags(word: str, known: Mapping[str, bool]) -> bool:
    return all(known.get(f"-{letter}") is False for letter in word[1:])


def _next_command(command: "TyperGroup | TyperCommand", word: str) -> "TyperGroup | TyperCommand":
    commands: Mapping[str, TyperGroup | TyperCommand] = getattr(command, "commands", {})
    return commands.get(word, command)
