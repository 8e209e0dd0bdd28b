"""The completion for zsh."""

from collections.abc import Iterable, Iterator

from vmsnap.cli.manual.commands import Command, Operand, Option, values_of_options

_HEAD = """#compdef vmsnap
# Completion of vmsnap for zsh; made by `make pages`.
#
# Verbs and options stand here. For names `vmsnap __complete` is asked, which is quick and stays
# silent whatever is wrong.
"""

_CALL = r"""    if (( dashes )); then
        # _arguments counts the -- as an operand, and takes what follows it for options.
        words=("$words[1]" ${(s: :)verb} "${(@q)operands}" "$words[CURRENT]")
        CURRENT=$#words
        options=()
    fi
    _arguments -s : $places $options
}"""

_CODE = r"""
# Go through the words before the cursor: which verb, which operands, what was typed for the names.
_vmsnap_scan() {
    local word pending=
    for word in "${(@)words[2,CURRENT-1]}"; do
        word=${(Q)word}
        if [[ -n $pending ]]; then
            typed+=("$pending=$word")
            pending=
        elif (( dashes )); then
            operands+=("$word")
        elif [[ $word == -- ]]; then
            dashes=1
        elif [[ $word == --*=* ]]; then
            typed+=("$word")
        elif [[ $word == -* ]]; then
            (( ${taking[(Ie)$word]} )) && pending=$word
        elif (( ! $#operands && ${verbs[(Ie)${verb:+$verb }$word]} )); then
            verb+=${verb:+ }$word
        else
            operands+=("$word")
        fi
    done
}

# Offer the names of a kind; what was typed for them goes with the environment.
_vmsnap_names() {
    local entry name expl
    local -a names
    # Options are being asked for, and nobody has to wait for names too.
    (( ! dashes )) && [[ $PREFIX == -* ]] && return 1
    for entry in "${(@)typed}"; do
        name=${entry%%=*}
        [[ $name == --(connect|database|config) ]] || continue
        local -x "VMSNAP_${(U)name#--}=${entry#*=}"
    done
    names=("${(@f)$(vmsnap __complete $1 "${(@)operands}" 2>/dev/null </dev/null)}")
    # As a first word it would be an option.
    (( dashes )) || names=("${(@)names:#-*}")
    names=("${(@)names:#}")
    _wanted names expl $1 compadd -a names
}

_vmsnap "$@"
"""


def zsh_completion(program: Command) -> str:
    """Write completions/_vmsnap."""
    return _HEAD + "\n" + "\n".join(_main(program)) + "\n" + _CODE


def _main(program: Command) -> Iterator[str]:
    commands = list(program.walk())
    verbs = " ".join(_quoted(each.path) for each in commands if each.words)
    yield "_vmsnap() {"
    yield "    local verb"
    yield "    local -a operands typed places options"
    yield "    integer dashes=0"
    yield f"    local -a verbs=({verbs})"
    yield f"    local -a taking=({' '.join(values_of_options(program))})"
    yield "    _vmsnap_scan"
    yield "    options=("
    yield from (f"        {_specification(option)}" for option in program.options)
    yield "    )"
    yield "    case $verb in"
    for command in commands:
        yield f"        {_quoted(command.path)})"
        yield from _list("places=", _places(command))
        if command.words and command.options:
            yield from _list("options+=", (_specification(option) for option in command.options))
        yield "            ;;"
    yield "    esac"
    yield _CALL


def _list(assigned: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"            {assigned}("
    yield from (f"                {line}" for line in lines)
    yield "            )"


def _places(command: Command) -> Iterator[str]:
    """Write what stands at each place: the words of the verb themselves, then verbs or operands."""
    for number, word in enumerate(command.words, start=1):
        yield _quoted(f"{number}: :({word})")
    number = len(command.words) + 1
    if command.commands:
        listed = " ".join(
            f'{child.words[-1]}\\:"{_within_quotes(child.summary)}"' for child in command.commands
        )
        yield _quoted(f"{number}:verb:(({listed}))")
    for place, operand in enumerate(command.operands, start=number):
        yield _quoted(f"{'*' if operand.can_repeat else place}:{operand.name}:{_action(operand)}")


def _specification(option: Option) -> str:
    explained = f"[{_escaped(option.help, ':[]')}]"
    value = f":{_escaped(option.value, ':')}:{_action(option)}" if option.value else ""
    flags = [
        f"{flag}{'=' if option.value and flag.startswith('--') else ''}" for flag in option.flags
    ]
    excluded = "(- *)" if option.is_alone else f"({' '.join(option.flags)})"
    if option.can_repeat:
        excluded = "*"
    if len(flags) == 1:
        lead = "" if excluded.strip("()") == flags[0].rstrip("=") else excluded
        return _quoted(f"{lead}{flags[0]}{explained}{value}")
    return f"{_quoted(excluded)}{{{','.join(flags)}}}{_quoted(explained + value)}"


def _action(of: Option | Operand) -> str:
    choices = of.choices if isinstance(of, Option) else ()
    if choices:
        return f"({' '.join(_escaped(choice, ':') for choice in choices)})"
    if of.kind == "file":
        return "_files"
    if of.kind == "folder":
        return "_files -/"
    # The blanks: a message alone, and a function that is called with its own arguments.
    return f" _vmsnap_names {of.kind}" if of.kind else " "


def _escaped(text: str, characters: str) -> str:
    return "".join(f"\\{each}" if each in characters else each for each in text)


def _within_quotes(text: str) -> str:
    return _escaped(text, '\\"$`').replace(":", r"\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
