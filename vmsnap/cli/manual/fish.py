"""The completion for fish."""

from collections.abc import Iterator

from vmsnap.cli.manual.commands import Command, Operand, Option, values_of_options

_HEAD = """# Completion of vmsnap for fish; made by `make pages`.
#
# Verbs and options stand here. For names `vmsnap __complete` is asked, which is quick and stays
# silent whatever is wrong.
"""

_CODE = r"""
# Go through the words before the cursor: which verb, which operands, which options. What is found
# is kept until the line is another.
function __vmsnap_scan
    set -l words (commandline -opc)
    set -l line (string escape -- $words | string join ' ')
    test "$line" = "$__vmsnap_line"; and return
    set -g __vmsnap_line $line
    set -g __vmsnap_verb ''
    set -g __vmsnap_operands
    set -g __vmsnap_given
    set -g __vmsnap_typed
    set -g __vmsnap_dashes
    set -l pending
    for word in $words[2..-1]
        if set -q pending[1]
            set -a __vmsnap_given $pending
            set -a __vmsnap_typed "$pending=$word"
            set pending
        else if set -q __vmsnap_dashes[1]
            set -a __vmsnap_operands $word
        else if test "$word" = --
            set __vmsnap_dashes yes
        else if string match -q -- '--*=*' $word
            set -a __vmsnap_given (string split -m 1 = -- $word)[1]
            set -a __vmsnap_typed $word
        else if contains -- $word $__vmsnap_taking
            set pending $word
        else if string match -q -- '-*' $word
            set -a __vmsnap_given $word
        else
            set -l verb (string trim "$__vmsnap_verb $word")
            if not set -q __vmsnap_operands[1]; and contains -- $verb $__vmsnap_verbs
                set __vmsnap_verb $verb
            else
                set -a __vmsnap_operands $word
            end
        end
    end
end

# Tell whether an option of a verb may be given: none of the flags is there yet.
function __vmsnap_lacks -a verb
    __vmsnap_scan
    test -z "$verb" -o "$verb" = "$__vmsnap_verb"; or return
    for flag in $argv[2..-1]
        contains -- $flag $__vmsnap_given; and return 1
    end
    return 0
end

# Tell whether the operand of a verb that has this number comes next, counted from 0; with + behind
# the number, whether any from that on does.
function __vmsnap_wants -a verb place
    __vmsnap_scan
    test "$verb" = "$__vmsnap_verb"; or return
    # Options are being asked for, and nobody has to wait for names too.
    not set -q __vmsnap_dashes[1]; and string match -q -- '-*' (commandline -ct); and return 1
    set -l number (string trim -r -c + -- $place)
    set -l count (count $__vmsnap_operands)
    test $count -eq $number; and return
    test $number != $place -a $count -gt $number
end

# Print the names of a kind; what was typed for them goes with the environment.
function __vmsnap_names -a kind
    __vmsnap_scan
    for entry in $__vmsnap_typed
        set -l parts (string split -m 1 = -- $entry)
        contains -- $parts[1] --connect --database --config; or continue
        set -fx VMSNAP_(string upper -- (string trim -l -c - -- $parts[1])) $parts[2]
    end
    set -l names (vmsnap __complete $kind $__vmsnap_operands 2>/dev/null </dev/null)
    # As a first word one with a dash would be an option.
    set -q __vmsnap_dashes[1]; or set names (string match -v -- '-*' $names)
    set -q names[1]; and printf '%s\n' $names
end
"""


def fish_completion(program: Command) -> str:
    """Write completions/vmsnap.fish."""
    return "\n".join((_HEAD, *_lists(program), _CODE, *_lines(program), ""))


def _lists(program: Command) -> Iterator[str]:
    verbs = " ".join(_quoted(each.path) for each in program.walk() if each.words)
    yield f"set -g __vmsnap_verbs {verbs}"
    yield f"set -g __vmsnap_taking {' '.join(values_of_options(program))}"


def _lines(program: Command) -> Iterator[str]:
    yield "complete -c vmsnap -f"
    for command in program.walk():
        for child in command.commands:
            offer = f"-a {child.words[-1]} -d {_quoted(child.summary)}"
            yield _line("wants", command.path, "0", offer)
        for place, operand in enumerate(command.operands):
            number = f"{place}{'+' if operand.can_repeat else ''}"
            yield _line("wants", command.path, number, _offer(operand))
        for option in command.options:
            flags = "" if option.can_repeat else " ".join(option.flags)
            yield _line("lacks", command.path, flags, _option(option))


def _line(condition: str, path: str, words: str, rest: str) -> str:
    asked = " ".join(filter(None, (f"__vmsnap_{condition} '{path}'", words)))
    return f'complete -c vmsnap -n "{asked}" {rest}'.rstrip()


def _option(option: Option) -> str:
    flags = " ".join(
        f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags
    )
    needs = ("-r" if option.kind == "file" else "-x") if option.value else ""
    offer = _offer(option) if option.value else ""
    return " ".join(filter(None, (flags, needs, offer, f"-d {_quoted(option.help)}")))


def _offer(of: Option | Operand) -> str:
    choices = of.choices if isinstance(of, Option) else ()
    if choices:
        return f"-a {_quoted(' '.join(choices))}"
    if of.kind == "file":
        return "-F"
    if of.kind == "folder":
        return "-a '(__fish_complete_directories)'"
    return f"-a '(__vmsnap_names {of.kind})'" if of.kind else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
