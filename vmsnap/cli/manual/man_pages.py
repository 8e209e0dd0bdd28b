"""The manual pages of section 1: the program's, and one of each verb."""

from collections.abc import Iterable, Iterator

from vmsnap.cli.help_text import RANGES, STATUSES
from vmsnap.cli.manual.commands import Command, Operand, Option
from vmsnap.cli.manual.roff import (
    bold,
    escaped,
    example,
    head,
    italic,
    paragraph,
    prose,
    section,
    subsection,
    term,
)
from vmsnap.config import SYSTEM_CONFIG_FILE, SYSTEM_LOG_FILE, SYSTEM_STATE_FOLDER
from vmsnap.errors import VmsnapError

SETTINGS_PAGE = "vmsnap.conf"

_WHAT_IT_IS = (
    "A `group` is the state of a whole machine at one instant: an external snapshot of each disk, "
    "the UEFI variables (NVRAM), the state of the virtual TPM and the definition. It is made while "
    "the machine runs or is off; a machine that is off can be reverted to it, and what a revert "
    "leaves is kept as a `safety group`, so that `vmsnap undo` takes it back.",
    "A `backup` holds NVRAM and TPM state: each group has one, and `vmsnap backup create` makes "
    "one alone, without disks.",
    "A name can be given as the beginning of a UUID of at least 8 digits wherever one is asked "
    "for. Every verb that changes something has `--dry-run`, which shows what it would do. Where "
    "something would be lost it asks first; `--yes` answers, and without a terminal it refuses.",
    "With `--json` one document is printed, also after a failure: the keys vmsnap, command, "
    "status, exit_code, changed, data, errors and warnings; each error has a code, a message and a "
    "hint, each warning is the sentence that stands on stderr too. Keys are only ever added.",
)
_FILES = (
    (
        f"{SYSTEM_STATE_FOLDER}/vmsnap.db",
        "The database of qemu:///system, if no other is named; it holds NVRAM, TPM state and "
        "definitions, and only root can read it.",
    ),
    (
        f"{SYSTEM_STATE_FOLDER}/journal",
        "What is under way, or was interrupted: `vmsnap recover` settles it.",
    ),
    (str(SYSTEM_CONFIG_FILE), "Settings; see vmsnap.conf(5)."),
    (str(SYSTEM_LOG_FILE), "What every changing run did."),
    ("IMAGE.vmsnap-XXXXXXXXXXXX.qcow2", "An overlay, beside the image that it stands on."),
    (
        ".UUID.vmsnap.json",
        "Beside overlays: which groups they are, for `vmsnap db rebuild`; only root can read it.",
    ),
)
_ENVIRONMENT = (
    ("LIBVIRT_DEFAULT_URI", "The libvirt to talk to, if nothing else says so."),
    ("NO_COLOR", "If it is set to anything, no colours are used."),
)


def man_pages(program: Command, version: str) -> dict[str, str]:
    """Return the pages by their names, `vmsnap-group-revert.1` for instance."""
    verbs = [command for command in program.walk() if command.words and not command.commands]
    pages = {"vmsnap.1": _overview(program, verbs, version)}
    pages |= {f"{_name(verb)}.1": _page(verb, program, version) for verb in verbs}
    return pages


def _overview(program: Command, verbs: list[Command], version: str) -> str:
    groups = [command for command in program.commands if command.commands]
    return _joined(
        head("vmsnap", 1, version),
        section("NAME", [f"vmsnap \\- {prose(_first_small(program.summary))}"]),
        section("SYNOPSIS", [_synopsis(program)]),
        section("DESCRIPTION", _paragraphs((program.summary, *_WHAT_IT_IS))),
        section("COMMANDS", _commands([each for each in verbs if len(each.words) == 1])),
        *(
            subsection(group.path, (*paragraph(group.summary), *_commands(group.commands)))
            for group in groups
        ),
        section("OPTIONS", _options(program.options)),
        section("EXIT STATUS", _statuses(STATUSES, with_codes=True)),
        section("FILES", _terms(_FILES)),
        section("ENVIRONMENT", _environment(program)),
        section("EXAMPLES", _examples(program)),
        section("SEE ALSO", _see_also(map(_name, verbs))),
    )


def _page(verb: Command, program: Command, version: str) -> str:
    family = next(command for command in program.commands if command.words == verb.words[:1])
    siblings = [_name(other) for other in family.commands if other.words != verb.words]
    return _joined(
        head(_name(verb), 1, version),
        section("NAME", [f"{escaped(_name(verb))} \\- {prose(_first_small(verb.summary))}"]),
        section("SYNOPSIS", [_synopsis(verb)]),
        section("DESCRIPTION", _paragraphs((verb.summary, *verb.description))),
        section("OPERANDS", _operands(verb.operands)),
        section("OPTIONS", _options(verb.options)),
        subsection("Global options", (*paragraph(_WHERE), *_options(program.options))),
        section("EXIT STATUS", _statuses(verb.statuses)),
        section("FILES", _terms(_FILES)),
        section("ENVIRONMENT", _environment(program)),
        section("EXAMPLES", _examples(verb)),
        section("SEE ALSO", _see_also(["vmsnap", *siblings])),
    )


_WHERE = "They stand before or after the verb."


def _joined(*parts: Iterable[str]) -> str:
    return "".join(f"{line}\n" for lines in parts for line in lines)


def _name(command: Command) -> str:
    return "-".join(("vmsnap", *command.words))


def _first_small(sentence: str) -> str:
    """Write a summary as whatis wants it: no capital at the start unless it is a name, no dot."""
    first, _, rest = sentence.removesuffix(".").partition(" ")
    return f"{first if first.isupper() else first.lower()} {rest}".rstrip()


def _synopsis(command: Command) -> str:
    words = [bold(" ".join(("vmsnap", *command.words))), f"[{italic('OPTION')}]..."]
    if command.commands:
        words += [italic("COMMAND"), f"[{italic('ARGUMENT')}]..."]
    words += [
        escaped(operand.shown).replace(operand.name, italic(operand.name))
        for operand in command.operands
    ]
    return " ".join(words)


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from paragraph(text)


def _terms(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in entries:
        yield from term(bold(name), text)


def _commands(commands: Iterable[Command]) -> Iterator[str]:
    for command in commands:
        shown = " ".join(italic(operand.shown) for operand in command.operands)
        yield from term(f"{bold(command.path)} {shown}".rstrip(), command.summary)


def _operands(operands: Iterable[Operand]) -> Iterator[str]:
    for operand in operands:
        yield from term(italic(operand.shown), operand.help)


def _options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        value = f" {italic(option.value)}" if option.value else ""
        default = f" Without it: {option.default}." if option.default else ""
        flags = sorted(option.flags, key=len)
        yield from term(f"{', '.join(bold(flag) for flag in flags)}{value}", option.help + default)


def _statuses(numbers: Iterable[int], *, with_codes: bool = False) -> Iterator[str]:
    codes = _codes() if with_codes else {}
    for number in numbers:
        words = f"{STATUSES[number]}."
        if number in codes:
            words += f" In JSON: {', '.join(codes[number])}."
        yield from term(bold(str(number)), words[0].upper() + words[1:])
    yield from paragraph(RANGES)


def _codes() -> dict[int, list[str]]:
    """Return the code words of the errors that end with each status."""
    found: dict[int, list[str]] = {}
    pending: list[type[VmsnapError]] = [VmsnapError]
    while pending:
        error = pending.pop(0)
        # Not those of tests, which may be in the same process.
        pending += [
            kind for kind in error.__subclasses__() if kind.__module__ == VmsnapError.__module__
        ]
        if error.code not in found.setdefault(error.exit_code, []):
            found[error.exit_code].append(error.code)
    return found


def _environment(program: Command) -> Iterator[str]:
    for option in program.options:
        if not option.is_alone:
            flag = option.flags[0]
            name = f"VMSNAP_{flag.removeprefix('--').replace('-', '_').upper()}"
            yield from term(bold(name), f"What `{flag}` says, unless that is given.")
    yield from _terms(_ENVIRONMENT)


def _examples(command: Command) -> list[str]:
    return example(command.examples)


def _see_also(names: Iterable[str]) -> list[str]:
    pages = [*((name, 1) for name in names), (SETTINGS_PAGE, 5), ("virsh", 1)]
    lines = [f".BR {escaped(name)} ({number})" for name, number in pages]
    return [*(f"{line}," for line in lines[:-1]), lines[-1]]
