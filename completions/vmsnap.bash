# Completion of vmsnap for bash; made by `make pages`.
#
# Verbs and options stand here. For names `vmsnap __complete` is asked, which is quick and stays
# silent whatever is wrong.

_vmsnap_verbs() {
    case $1 in
        '') REPLY='vm snapshot group backup undo history status prune purge recover doctor db config install-units' ;;
        'vm') REPLY='list show' ;;
        'snapshot') REPLY='create list delete' ;;
        'group') REPLY='list show tree check diff revert delete ungroup pin unpin' ;;
        'backup') REPLY='create list show verify restore delete clone' ;;
        'db') REPLY='status upgrade backup rebuild' ;;
        'config') REPLY='show' ;;
        *) REPLY= ;;
    esac
}

_vmsnap_options() {
    case $1 in
        '') REPLY='--connect --database --config --json --quiet|-q --verbose|-v --wait --metrics-file --version --help|-h' ;;
        'snapshot create') REPLY='--all --name --description +--exclude +--without --suspend --no-suspend --quiesce --try-quiesce --no-quiesce --freeze-timeout --overlay-dir --dry-run' ;;
        'snapshot list') REPLY='--all-hosts' ;;
        'snapshot delete') REPLY='--bandwidth --yes|-y --dry-run' ;;
        'group list') REPLY='--all-hosts' ;;
        'group check') REPLY='--intact' ;;
        'group revert') REPLY='--no-safety --keep-definition --allow-disk-changes --drop-managed-save +--leave --shutdown --shutdown-timeout --start --yes|-y --dry-run' ;;
        'group delete') REPLY='--children --bandwidth --yes|-y --dry-run' ;;
        'group ungroup') REPLY='--drop-backup --dry-run' ;;
        'group pin') REPLY='--dry-run' ;;
        'group unpin') REPLY='--dry-run' ;;
        'backup create') REPLY='--all --name --description +--without --replace --dry-run' ;;
        'backup list') REPLY='--all-hosts' ;;
        'backup restore') REPLY='+--only --no-safety --yes|-y --dry-run' ;;
        'backup delete') REPLY='--yes|-y --dry-run' ;;
        'backup clone') REPLY='--from --tpm --dry-run' ;;
        'undo') REPLY='--force --shutdown --shutdown-timeout --start --dry-run' ;;
        'history') REPLY='--limit --all-hosts' ;;
        'status') REPLY='--max-age --warn-age --nagios' ;;
        'prune') REPLY='--all --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within +--keep-name --keep-safety --groups --backups +--allow-empty --bandwidth --dry-run' ;;
        'purge') REPLY='--yes|-y --dry-run' ;;
        'recover') REPLY='--lift-fences --dry-run' ;;
        'doctor') REPLY='--fix --yes|-y --dry-run' ;;
        'db upgrade') REPLY='--dry-run' ;;
        'db backup') REPLY='--force' ;;
        'db rebuild') REPLY='+--folder --yes|-y --dry-run' ;;
        'install-units') REPLY='--dir --force --dry-run' ;;
        *) REPLY= ;;
    esac
}

_vmsnap_operands() {
    case $1 in
        'vm show') REPLY='domain' ;;
        'snapshot create') REPLY='domain+' ;;
        'snapshot list') REPLY='known' ;;
        'snapshot delete') REPLY='domain snapshot+' ;;
        'group list') REPLY='known' ;;
        'group show') REPLY='known group' ;;
        'group tree') REPLY='known' ;;
        'group check') REPLY='domain group' ;;
        'group diff') REPLY='domain group' ;;
        'group revert') REPLY='domain group' ;;
        'group delete') REPLY='domain group+' ;;
        'group ungroup') REPLY='domain group' ;;
        'group pin') REPLY='domain group+' ;;
        'group unpin') REPLY='domain group+' ;;
        'backup create') REPLY='domain+' ;;
        'backup list') REPLY='known' ;;
        'backup show') REPLY='known backup' ;;
        'backup verify') REPLY='known backup' ;;
        'backup restore') REPLY='domain backup' ;;
        'backup delete') REPLY='domain backup' ;;
        'backup clone') REPLY='known domain+' ;;
        'undo') REPLY='domain' ;;
        'history') REPLY='known' ;;
        'status') REPLY='domain+' ;;
        'prune') REPLY='domain+' ;;
        'purge') REPLY='gone' ;;
        'doctor') REPLY='known' ;;
        'db backup') REPLY='file' ;;
        'db rebuild') REPLY='domain+' ;;
        'config show') REPLY='domain' ;;
        *) REPLY= ;;
    esac
}

_vmsnap_value() {
    case $1 in
        '--connect') REPLY='=qemu:///system qemu:///session' ;;
        '--database') REPLY='text' ;;
        '--config') REPLY='file' ;;
        '--wait') REPLY='text' ;;
        '--metrics-file') REPLY='file' ;;
        '--name') REPLY='text' ;;
        '--description') REPLY='text' ;;
        '--exclude') REPLY='disk' ;;
        '--without') REPLY='=nvram tpm none' ;;
        '--freeze-timeout') REPLY='text' ;;
        '--overlay-dir') REPLY='folder' ;;
        '--bandwidth') REPLY='text' ;;
        '--leave') REPLY='=nvram tpm' ;;
        '--shutdown-timeout') REPLY='text' ;;
        '--only') REPLY='=nvram tpm' ;;
        '--from') REPLY='backup' ;;
        '--tpm') REPLY='=reset keep' ;;
        '--limit') REPLY='text' ;;
        '--max-age') REPLY='text' ;;
        '--warn-age') REPLY='text' ;;
        '--keep-last') REPLY='text' ;;
        '--keep-hourly') REPLY='text' ;;
        '--keep-daily') REPLY='text' ;;
        '--keep-weekly') REPLY='text' ;;
        '--keep-monthly') REPLY='text' ;;
        '--keep-yearly') REPLY='text' ;;
        '--keep-within') REPLY='text' ;;
        '--keep-name') REPLY='text' ;;
        '--keep-safety') REPLY='text' ;;
        '--allow-empty') REPLY='domain' ;;
        '--folder') REPLY='folder' ;;
        '--dir') REPLY='folder' ;;
        *) return 1 ;;
    esac
}

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
