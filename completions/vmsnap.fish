# Completion of vmsnap for fish; made by `make pages`.
#
# Verbs and options stand here. For names `vmsnap __complete` is asked, which is quick and stays
# silent whatever is wrong.

set -g __vmsnap_verbs 'vm' 'vm list' 'vm show' 'snapshot' 'snapshot create' 'snapshot list' 'snapshot delete' 'group' 'group list' 'group show' 'group tree' 'group check' 'group diff' 'group revert' 'group delete' 'group ungroup' 'group pin' 'group unpin' 'backup' 'backup create' 'backup list' 'backup show' 'backup verify' 'backup restore' 'backup delete' 'backup clone' 'undo' 'history' 'status' 'prune' 'purge' 'recover' 'doctor' 'db' 'db status' 'db upgrade' 'db backup' 'db rebuild' 'config' 'config show' 'install-units'
set -g __vmsnap_taking --connect --database --config --wait --metrics-file --name --description --exclude --without --freeze-timeout --overlay-dir --bandwidth --leave --shutdown-timeout --only --from --tpm --limit --max-age --warn-age --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within --keep-name --keep-safety --allow-empty --folder --dir

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

complete -c vmsnap -f
complete -c vmsnap -n "__vmsnap_wants '' 0" -a vm -d 'See domains.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a snapshot -d 'Take and see snapshots.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a group -d 'See and use groups.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a backup -d 'Keep and bring back NVRAM and TPM state, no disks.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a undo -d 'Take the last revert, restore or clone of a domain back.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a history -d 'Say who did what, when, and with what result.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a status -d 'Say which domain lacks a young complete group.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a prune -d 'Delete the groups and backups that no rule keeps.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a purge -d 'Remove what is left of an undefined domain.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a recover -d 'Finish or undo what was interrupted.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a doctor -d 'Find what is wrong, and what mends it.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a db -d 'See, copy and mend the database.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a config -d 'See settings.'
complete -c vmsnap -n "__vmsnap_wants '' 0" -a install-units -d 'Install units and timers for systemd.'
complete -c vmsnap -n "__vmsnap_lacks '' --connect" -l connect -x -a 'qemu:///system qemu:///session' -d 'The libvirt to talk to: LIBVIRT_DEFAULT_URI, or qemu:///system.'
complete -c vmsnap -n "__vmsnap_lacks '' --database" -l database -x -d 'The database; it follows the connection if not given.'
complete -c vmsnap -n "__vmsnap_lacks '' --config" -l config -r -F -d 'Settings to read instead of config.toml.'
complete -c vmsnap -n "__vmsnap_lacks '' --json" -l json -d 'Print one JSON document.'
complete -c vmsnap -n "__vmsnap_lacks '' --quiet -q" -l quiet -s q -d 'Print errors, warnings and what was asked for.'
complete -c vmsnap -n "__vmsnap_lacks '' --verbose -v" -l verbose -s v -d 'Print every step.'
complete -c vmsnap -n "__vmsnap_lacks '' --wait" -l wait -x -d 'Wait for a domain that is busy.'
complete -c vmsnap -n "__vmsnap_lacks '' --metrics-file" -l metrics-file -r -F -d 'Write figures for Prometheus there after each change; \'none\' writes none.'
complete -c vmsnap -n "__vmsnap_lacks '' --version" -l version -d 'Print the version and do nothing else.'
complete -c vmsnap -n "__vmsnap_lacks '' --help -h" -l help -s h -d 'Show the help and do nothing else.'
complete -c vmsnap -n "__vmsnap_wants 'vm' 0" -a list -d 'List the domains, and whether a snapshot would take them whole.'
complete -c vmsnap -n "__vmsnap_wants 'vm' 0" -a show -d 'Show what a domain is made of.'
complete -c vmsnap -n "__vmsnap_wants 'vm show' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'snapshot' 0" -a create -d 'Take a group of each domain at one instant, shut off or running.'
complete -c vmsnap -n "__vmsnap_wants 'snapshot' 0" -a list -d 'List snapshots, oldest first.'
complete -c vmsnap -n "__vmsnap_wants 'snapshot' 0" -a delete -d 'Delete single snapshots, as ungroup leaves them.'
complete -c vmsnap -n "__vmsnap_wants 'snapshot create' 0+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --all" -l all -d 'All domains of this host, side by side.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --name" -l name -x -d 'Its name; made from the time if not given.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --description" -l description -x -d 'A remark to keep with it.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create'" -l exclude -x -a '(__vmsnap_names disk)' -d 'Leave a disk out; can be repeated. \'none\' undoes config.toml\'s.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create'" -l without -x -a 'nvram tpm none' -d 'Leave a type of host file out; can be repeated. \'none\' undoes config.toml\'s.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --suspend" -l suspend -d 'Suspend a running guest for the moment.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --no-suspend" -l no-suspend -d 'Fail rather than suspend a running guest.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --quiesce" -l quiesce -d 'Freeze its file systems through the guest agent.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --try-quiesce" -l try-quiesce -d 'The same, but go on where that is not possible.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --no-quiesce" -l no-quiesce -d 'Freeze nothing, whatever config.toml says.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --freeze-timeout" -l freeze-timeout -x -d 'Time limit for freezing.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --overlay-dir" -l overlay-dir -x -a '(__fish_complete_directories)' -d 'Put new overlays there, as block devices need; \'none\': beside the images.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot create' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'snapshot list' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot list' --all-hosts" -l all-hosts -d 'Show what other hosts keep in this database too.'
complete -c vmsnap -n "__vmsnap_wants 'snapshot delete' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'snapshot delete' 1+" -a '(__vmsnap_names snapshot)'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot delete' --bandwidth" -l bandwidth -x -d 'Merge at most so fast while the domain runs: MiB/s, or with K, M or G.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot delete' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'snapshot delete' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a list -d 'List groups, oldest first.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a show -d 'Show a group: its disks, its backup and the space that it holds.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a tree -d 'Draw which group stands on which, and where the domain is now.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a check -d 'Say whether groups can be reverted, or why not.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a diff -d 'Say what a revert would change: definition, host files, disks.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a revert -d 'Bring a domain back to a group.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a delete -d 'Delete groups; the domain stays as it is.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a ungroup -d 'Turn a group into single snapshots and a backup.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a pin -d 'Keep groups from being pruned or deleted.'
complete -c vmsnap -n "__vmsnap_wants 'group' 0" -a unpin -d 'Let pinned groups be pruned and deleted again.'
complete -c vmsnap -n "__vmsnap_wants 'group list' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_lacks 'group list' --all-hosts" -l all-hosts -d 'Show what other hosts keep in this database too.'
complete -c vmsnap -n "__vmsnap_wants 'group show' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_wants 'group show' 1" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_wants 'group tree' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_wants 'group check' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group check' 1" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group check' --intact" -l intact -d 'Look for damage alone; that the domain runs is fine.'
complete -c vmsnap -n "__vmsnap_wants 'group diff' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group diff' 1" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_wants 'group revert' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group revert' 1" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --no-safety" -l no-safety -d 'Keep nothing of the present state; asks first.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --keep-definition" -l keep-definition -d 'Keep today\'s definition but for the disks.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --allow-disk-changes" -l allow-disk-changes -d 'Go on although disks were detached, replaced or added.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --drop-managed-save" -l drop-managed-save -d 'Throw a managed-save image away.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert'" -l leave -x -a 'nvram tpm' -d 'Keep the live NVRAM or TPM as it is; can be repeated.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --shutdown" -l shutdown -d 'Ask the guest of a running domain to shut down first.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --shutdown-timeout" -l shutdown-timeout -x -d 'How long it has for that.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --start" -l start -d 'Start the domain afterwards.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'group revert' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'group delete' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group delete' 1+" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group delete' --children" -l children -d 'Take along all groups that stand on these.'
complete -c vmsnap -n "__vmsnap_lacks 'group delete' --bandwidth" -l bandwidth -x -d 'Merge at most so fast while the domain runs: MiB/s, or with K, M or G.'
complete -c vmsnap -n "__vmsnap_lacks 'group delete' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'group delete' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'group ungroup' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group ungroup' 1" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group ungroup' --drop-backup" -l drop-backup -d 'Throw its NVRAM and TPM away instead of keeping them.'
complete -c vmsnap -n "__vmsnap_lacks 'group ungroup' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'group pin' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group pin' 1+" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group pin' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'group unpin' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'group unpin' 1+" -a '(__vmsnap_names group)'
complete -c vmsnap -n "__vmsnap_lacks 'group unpin' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a create -d 'Capture each domain\'s NVRAM and TPM state alone.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a list -d 'List backups, oldest first.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a show -d 'Show what a backup holds of each type.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a verify -d 'Read backups whole and compare them with their digests.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a restore -d 'Bring NVRAM and TPM state back.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a delete -d 'Delete a backup; that of a group goes only with its group.'
complete -c vmsnap -n "__vmsnap_wants 'backup' 0" -a clone -d 'Give other domains the NVRAM of one.'
complete -c vmsnap -n "__vmsnap_wants 'backup create' 0+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'backup create' --all" -l all -d 'All domains of this host, side by side.'
complete -c vmsnap -n "__vmsnap_lacks 'backup create' --name" -l name -x -d 'Its name; made from the time if not given.'
complete -c vmsnap -n "__vmsnap_lacks 'backup create' --description" -l description -x -d 'A remark to keep with it.'
complete -c vmsnap -n "__vmsnap_lacks 'backup create'" -l without -x -a 'nvram tpm none' -d 'Leave a type of host file out; can be repeated. \'none\' undoes config.toml\'s.'
complete -c vmsnap -n "__vmsnap_lacks 'backup create' --replace" -l replace -d 'Replace the standalone backup of that name.'
complete -c vmsnap -n "__vmsnap_lacks 'backup create' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'backup list' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_lacks 'backup list' --all-hosts" -l all-hosts -d 'Show what other hosts keep in this database too.'
complete -c vmsnap -n "__vmsnap_wants 'backup show' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_wants 'backup show' 1" -a '(__vmsnap_names backup)'
complete -c vmsnap -n "__vmsnap_wants 'backup verify' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_wants 'backup verify' 1" -a '(__vmsnap_names backup)'
complete -c vmsnap -n "__vmsnap_wants 'backup restore' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'backup restore' 1" -a '(__vmsnap_names backup)'
complete -c vmsnap -n "__vmsnap_lacks 'backup restore'" -l only -x -a 'nvram tpm' -d 'Bring back this type alone; can be repeated.'
complete -c vmsnap -n "__vmsnap_lacks 'backup restore' --no-safety" -l no-safety -d 'Keep nothing of the present state; asks first.'
complete -c vmsnap -n "__vmsnap_lacks 'backup restore' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'backup restore' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'backup delete' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_wants 'backup delete' 1" -a '(__vmsnap_names backup)'
complete -c vmsnap -n "__vmsnap_lacks 'backup delete' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'backup delete' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'backup clone' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_wants 'backup clone' 1+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'backup clone' --from" -l from -x -a '(__vmsnap_names backup)' -d 'Copy what a backup or group holds, not what is there now.'
complete -c vmsnap -n "__vmsnap_lacks 'backup clone' --tpm" -l tpm -x -a 'reset keep' -d 'Let the targets\' TPM start anew, or make it the same as the source\'s.'
complete -c vmsnap -n "__vmsnap_lacks 'backup clone' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'undo' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'undo' --force" -l force -d 'Undo although groups were made since, or a disk was not kept.'
complete -c vmsnap -n "__vmsnap_lacks 'undo' --shutdown" -l shutdown -d 'Ask the guest of a running domain to shut down first.'
complete -c vmsnap -n "__vmsnap_lacks 'undo' --shutdown-timeout" -l shutdown-timeout -x -d 'How long it has for that.'
complete -c vmsnap -n "__vmsnap_lacks 'undo' --start" -l start -d 'Start the domain afterwards.'
complete -c vmsnap -n "__vmsnap_lacks 'undo' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'history' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_lacks 'history' --limit" -l limit -x -d 'How many of the last to show.'
complete -c vmsnap -n "__vmsnap_lacks 'history' --all-hosts" -l all-hosts -d 'Show what other hosts keep in this database too.'
complete -c vmsnap -n "__vmsnap_wants 'status' 0+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'status' --max-age" -l max-age -x -d 'How old the newest complete group may be (90m, 26h, 2d); else max_age of config.toml.'
complete -c vmsnap -n "__vmsnap_lacks 'status' --warn-age" -l warn-age -x -d 'From which age on it is a warning.'
complete -c vmsnap -n "__vmsnap_lacks 'status' --nagios" -l nagios -d 'Print one line for Nagios, and end with 0, 1, 2 or 3 as it wants.'
complete -c vmsnap -n "__vmsnap_wants 'prune' 0+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --all" -l all -d 'All domains of this host, side by side.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-last" -l keep-last -x -d 'Keep the last N points.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-hourly" -l keep-hourly -x -d 'Keep the last of each of N hours.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-daily" -l keep-daily -x -d 'Keep the last of each of N days.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-weekly" -l keep-weekly -x -d 'Keep the last of each of N weeks.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-monthly" -l keep-monthly -x -d 'Keep the last of each of N months.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-yearly" -l keep-yearly -x -d 'Keep the last of each of N years.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-within" -l keep-within -x -d 'Keep all that is younger: 12h, 30d.'
complete -c vmsnap -n "__vmsnap_lacks 'prune'" -l keep-name -x -d 'Keep all that is named so; can be repeated.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --keep-safety" -l keep-safety -x -d 'Keep safety groups and safety backups that are younger; 14d if not given.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --groups" -l groups -d 'Prune groups, and no backups.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --backups" -l backups -d 'Prune backups of their own, and no groups.'
complete -c vmsnap -n "__vmsnap_lacks 'prune'" -l allow-empty -x -a '(__vmsnap_names domain)' -d 'Let this domain lose its last group or backup too; can be repeated.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --bandwidth" -l bandwidth -x -d 'Merge at most so fast while the domain runs: MiB/s, or with K, M or G.'
complete -c vmsnap -n "__vmsnap_lacks 'prune' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'purge' 0" -a '(__vmsnap_names gone)'
complete -c vmsnap -n "__vmsnap_lacks 'purge' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'purge' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_lacks 'recover' --lift-fences" -l lift-fences -d 'Lift fences too whose journal is lost; look at those machines afterwards.'
complete -c vmsnap -n "__vmsnap_lacks 'recover' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'doctor' 0" -a '(__vmsnap_names known)'
complete -c vmsnap -n "__vmsnap_lacks 'doctor' --fix" -l fix -d 'Mend what is sure to do no harm, and ask about the rest.'
complete -c vmsnap -n "__vmsnap_lacks 'doctor' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'doctor' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'db' 0" -a status -d 'Say which database is used and which schema it has.'
complete -c vmsnap -n "__vmsnap_wants 'db' 0" -a upgrade -d 'Bring an older database up to this program.'
complete -c vmsnap -n "__vmsnap_wants 'db' 0" -a backup -d 'Copy the database to a file.'
complete -c vmsnap -n "__vmsnap_wants 'db' 0" -a rebuild -d 'Bring groups back from beside their images.'
complete -c vmsnap -n "__vmsnap_lacks 'db upgrade' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'db backup' 0" -F
complete -c vmsnap -n "__vmsnap_lacks 'db backup' --force" -l force -d 'Replace FILE if it is an SQLite database or empty.'
complete -c vmsnap -n "__vmsnap_wants 'db rebuild' 0+" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'db rebuild'" -l folder -x -a '(__fish_complete_directories)' -d 'Search this folder too; can be repeated.'
complete -c vmsnap -n "__vmsnap_lacks 'db rebuild' --yes -y" -l yes -s y -d 'Answer all questions with yes.'
complete -c vmsnap -n "__vmsnap_lacks 'db rebuild' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
complete -c vmsnap -n "__vmsnap_wants 'config' 0" -a show -d 'Show every setting and where it came from.'
complete -c vmsnap -n "__vmsnap_wants 'config show' 0" -a '(__vmsnap_names domain)'
complete -c vmsnap -n "__vmsnap_lacks 'install-units' --dir" -l dir -x -a '(__fish_complete_directories)' -d 'Where systemd looks for them.'
complete -c vmsnap -n "__vmsnap_lacks 'install-units' --force" -l force -d 'Replace those that were edited, too.'
complete -c vmsnap -n "__vmsnap_lacks 'install-units' --dry-run" -l dry-run -d 'Show what would be done; change nothing.'
