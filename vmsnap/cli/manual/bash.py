"""The completion for bash; it works with and without the package bash-completion."""

from collections.abc import Mapping

from vmsnap.cli.manual.commands import Command, Option, values_of_options

_HEAD = r"""# Completion of vmsnap for bash; made by `make pages`.
#
# Verbs and options stand here. For names `vmsnap __complete` is asked, which is quick and stays
# silent whatever is wrong.
"""

_CODE = r"""
# Take a line apart: `words` without their quotes, and of the last word, `raw` as it was typed,
# `current` without quotes, and `quote`, the one that is open.
_vmsnap_split() {
    local line=$1 char index
    words=() raw='' current='' quote=''
    for ((index = 0; index < ${#line}; index++)); do
        char=${line:index:1}
        if [[ ! $quote && $char == [[:space:]] ]]; then
            [[ $raw ]] && words+=("$current")
            raw='' current=''
            continue
        fi
        raw+=$char
        case $quote$char in
            \'\' | \"\") quote='' ;;
            \' | \") quote=$char ;;
            \\ | \"\\)
                index=$((index + 1))
                raw+=${line:index:1}
                [[ $quote && ${line:index:1} != [\$\`\"\\] ]] && current+=$char
                current+=${line:index:1}
                ;;
            *) current+=$char ;;
        esac
    done
}

# Write a text ($1) as it has to be typed inside quotes ($2) or without any.
_vmsnap_quoted() {
    local char index
    REPLY=
    for ((index = 0; index < ${#1}; index++)); do
        char=${1:index:1}
        case $2$char in
            \'\') char="'\\''" ;;
            \"\!) char='"\!"' ;; # a backslash would stay
            \"[\$\`\"\\]) char=\\$char ;;
            [[:space:]] | [][\|\&\;\<\>\(\)\$\`\\\"\'*?{}~#!^]) char=\\$char ;;
        esac
        REPLY+=$char
    done
}

# Go through the words before the cursor: which verb, which operands, which options.
_vmsnap_scan() {
    local word
    verb='' operands=() given=' ' typed=() pending='' dashes=''
    for word in "${words[@]:1}"; do
        if [[ $pending ]]; then
            typed+=("$pending=$word")
            pending=''
        elif [[ $dashes ]]; then
            operands+=("$word")
        elif [[ $word == -- ]]; then
            dashes=yes
        elif [[ $word == --*=* ]]; then
            given+="${word%%=*} "
            typed+=("$word")
        elif [[ $word == -* ]]; then
            given+="$word "
            _vmsnap_value "$word" && pending=$word
        else
            _vmsnap_verbs "$verb"
            if [[ ! ${operands+set} && " $REPLY " == *" $word "* ]]; then
                verb+=${verb:+ }$word
            else
                operands+=("$word")
            fi
        fi
    done
}

# Say what is to be offered: a kind of names, or `=` and the words themselves.
_vmsnap_kind() {
    local kinds
    if [[ $pending ]]; then
        _vmsnap_value "$pending"
    elif [[ ! $dashes && $current == --*=* ]] && _vmsnap_value "${current%%=*}"; then
        current=${current#*=}
    elif [[ ! $dashes && $current == -* ]]; then
        _vmsnap_lacking
    else
        _vmsnap_verbs "$verb"
        if [[ $REPLY ]]; then
            [[ ${operands+set} ]] && REPLY=
            REPLY="=$REPLY"
            return
        fi
        _vmsnap_operands "$verb"
        read -ra kinds <<<"$REPLY"
        REPLY=${kinds[${#operands[@]}]-}
        [[ ! $REPLY && ${kinds+set} && ${kinds[-1]} == *+ ]] && REPLY=${kinds[-1]}
        REPLY=${REPLY%+}
        [[ $REPLY || $dashes ]] || _vmsnap_lacking
    fi
}

# Offer the options that were not given yet.
_vmsnap_lacking() {
    local entry flag own is_given lacking=
    _vmsnap_options "$verb"
    own=$REPLY
    _vmsnap_options ''
    [[ $verb ]] || own=
    for entry in $own $REPLY; do
        is_given=
        for flag in ${entry//|/ }; do
            # With a + before it, it can be repeated, and is never among them.
            [[ $given == *" $flag "* ]] && is_given=yes
        done
        [[ $is_given ]] || lacking+=" ${entry//|/ }"
    done
    REPLY="=${lacking//+/}"
}

# Ask vmsnap for the names of a kind; what was typed for it goes with the environment.
_vmsnap_names() {
    local entry name
    for entry in "${typed[@]}"; do
        name=${entry%%=*}
        case $name in
            --connect | --database | --config) name=${name#--} ;;
            *) continue ;;
        esac
        local -x "VMSNAP_${name^^}=${entry#*=}"
    done
    vmsnap __complete "$1" "${operands[@]}" 2>/dev/null </dev/null
}

_vmsnap() {
    local IFS=$' \t\n' REPLY kind words raw current quote
    local verb operands given typed pending dashes candidate candidates=()
    COMPREPLY=()
    _vmsnap_split "${COMP_LINE:0:COMP_POINT}"
    _vmsnap_scan
    _vmsnap_kind
    kind=$REPLY
    case $kind in
        '' | text) return ;;
        =*) read -ra candidates <<<"${kind#=}" ;;
        file) compopt -o default; return ;;
        folder) compopt -o dirnames; return ;;
        *) mapfile -t candidates < <(_vmsnap_names "$kind") ;;
    esac
    for candidate in "${candidates[@]}"; do
        [[ $candidate == "$current"* ]] || continue
        # As a first word it would be an option.
        [[ $candidate == -* && $kind != =* && ! $dashes ]] && continue
        _vmsnap_quoted "${candidate:${#current}}" "$quote"
        # Bash puts it in place of $2: what of the word stands behind a colon or the like.
        candidate=$raw$REPLY
        COMPREPLY+=("${candidate:${#raw}-${#2}}")
    done
}

complete -F _vmsnap vmsnap
"""


def bash_completion(program: Command) -> str:
    """Write completions/vmsnap.bash."""
    commands = list(program.walk())
    tables = (
        ("verbs", {each.path: _verbs(each) for each in commands if each.commands}),
        ("options", {each.path: _options(each) for each in commands if each.options}),
        ("operands", {each.path: _operands(each) for each in commands if each.operands}),
    )
    return "".join(
        (
            _HEAD,
            *(_table(name, rows) for name, rows in tables),
            _table("value", values_of_options(program), otherwise="return 1"),
            _CODE,
        )
    )


def _table(name: str, rows: Mapping[str, str], otherwise: str = "REPLY=") -> str:
    """Write a function that looks its argument up and leaves what it finds in REPLY."""
    lines = [f"        '{key}') REPLY='{value}' ;;" for key, value in rows.items()]
    body = "\n".join((*lines, f"        *) {otherwise} ;;"))
    return f"\n_vmsnap_{name}() {{\n    case $1 in\n{body}\n    esac\n}}\n"


def _verbs(command: Command) -> str:
    return " ".join(child.words[-1] for child in command.commands)


def _options(command: Command) -> str:
    return " ".join(_flags(option) for option in command.options)


def _flags(option: Option) -> str:
    """Write the flags that stand for one another; a plus marks what can be repeated."""
    return "|".join(f"{'+' if option.can_repeat else ''}{flag}" for flag in option.flags)


def _operands(command: Command) -> str:
    return " ".join(
        f"{operand.kind or 'text'}{'+' if operand.can_repeat else ''}"
        for operand in command.operands
    )
