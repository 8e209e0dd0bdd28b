"""Every key of config.toml: what the reader accepts, and what the manual page says of it."""

from typing import NamedTuple

TOP = ""
DEFAULTS = "defaults"
DOMAIN = "domain"
HOOK = "hook"

TITLES = {TOP: "", DEFAULTS: "[defaults]", DOMAIN: '[domain."PATTERN"]', HOOK: "[[hook]]"}
"""Each table as it stands in a file. `[domain."PATTERN"]` takes the keys of `[defaults]`."""

OPERATIONS = (
    *("snapshot create", "snapshot delete"),
    *("group revert", "group delete", "group ungroup", "group pin", "group unpin"),
    *("backup create", "backup restore", "backup delete", "backup clone"),
    *("undo", "prune", "purge"),
)
"""The verbs around which hooks can run, as they are typed."""


class Key(NamedTuple):
    """A key: its table, what it takes, what holds without it, what it means, and an example."""

    table: str
    name: str
    type: str
    default: str
    meaning: str
    example: str


_ANY_COUNT = "whole number, 0 or more"
_DURATION = 'duration: 90s, 45m, 26h, 30d, 6w, or "none"'

KEYS = (
    Key(
        TOP,
        "connect",
        "libvirt URI",
        "LIBVIRT_DEFAULT_URI, else qemu:///system",
        "The libvirt to talk to; in /etc/vmsnap/config.toml one of the system's.",
        'connect = "qemu:///session"',
    ),
    Key(
        TOP,
        "database",
        "URL, or absolute path of an SQLite file",
        "follows the connection",
        "The database of groups and backups; with a password in it the file must be 0600.",
        'database = "mysql://vmsnap@db.example.org/vmsnap"',
    ),
    Key(TOP, "json", "true or false", "false", "Print one JSON document.", "json = true"),
    Key(
        TOP,
        "quiet",
        "true or false",
        "false",
        "Print errors, warnings and what was asked for.",
        "quiet = true",
    ),
    Key(TOP, "verbose", "true or false", "false", "Print every step.", "verbose = true"),
    Key(TOP, "wait", "seconds, 0 or more", "0", "Wait so long for a busy domain.", "wait = 60"),
    Key(
        TOP,
        "metrics_file",
        'absolute path, or "none"',
        "none is written",
        "The text file for Prometheus that changing verbs and status write; none but their own is"
        " replaced.",
        'metrics_file = "/var/lib/prometheus/node-exporter/vmsnap.prom"',
    ),
    Key(
        DEFAULTS,
        "exclude",
        "list of disk targets",
        "[]",
        "Disks that snapshot create leaves out; what a domain does not have is skipped.",
        'exclude = ["vdb"]',
    ),
    Key(
        DEFAULTS,
        "without",
        'list of "nvram", "tpm"',
        "[]",
        "Types of host file that snapshot create and backup create leave out.",
        'without = ["tpm"]',
    ),
    Key(
        DEFAULTS,
        "quiesce",
        '"no", "try" or "require"',
        '"no"',
        "Whether snapshot create freezes the file systems of a running guest.",
        'quiesce = "try"',
    ),
    Key(
        DEFAULTS,
        "overlay_dir",
        'absolute path, or "none"',
        "beside the images",
        "The folder for new overlays.",
        'overlay_dir = "/srv/overlays"',
    ),
    Key(
        DEFAULTS,
        "max_age",
        _DURATION,
        "none",
        "How old the newest complete group may be before status complains.",
        'max_age = "26h"',
    ),
    Key(
        DEFAULTS,
        "keep_last",
        _ANY_COUNT,
        "no such rule",
        "prune keeps so many of the newest.",
        "keep_last = 3",
    ),
    Key(
        DEFAULTS,
        "keep_hourly",
        _ANY_COUNT,
        "no such rule",
        "prune keeps the newest of each of so many hours.",
        "keep_hourly = 24",
    ),
    Key(
        DEFAULTS,
        "keep_daily",
        _ANY_COUNT,
        "no such rule",
        "prune keeps the newest of each of so many days.",
        "keep_daily = 7",
    ),
    Key(
        DEFAULTS,
        "keep_weekly",
        _ANY_COUNT,
        "no such rule",
        "prune keeps the newest of each of so many weeks.",
        "keep_weekly = 4",
    ),
    Key(
        DEFAULTS,
        "keep_monthly",
        _ANY_COUNT,
        "no such rule",
        "prune keeps the newest of each of so many months.",
        "keep_monthly = 12",
    ),
    Key(
        DEFAULTS,
        "keep_yearly",
        _ANY_COUNT,
        "no such rule",
        "prune keeps the newest of each of so many years.",
        "keep_yearly = 3",
    ),
    Key(
        DEFAULTS,
        "keep_within",
        _DURATION,
        "no such rule",
        "prune keeps all that is younger.",
        'keep_within = "30d"',
    ),
    Key(
        DEFAULTS,
        "keep_name",
        "list of patterns",
        "[]",
        "prune keeps all whose name fits one of them.",
        'keep_name = ["before-*"]',
    ),
    Key(
        DEFAULTS,
        "keep_safety",
        _DURATION,
        "14d",
        "The age up to which safety groups and safety backups are kept.",
        'keep_safety = "14d"',
    ),
    Key(
        HOOK,
        "when",
        '"before" or "after"',
        "must be given",
        "Whether the program runs before the operation, or after it whatever the outcome.",
        'when = "before"',
    ),
    Key(
        HOOK,
        "operations",
        "list of verbs as they are typed",
        "all changing verbs",
        "The operations around which the program runs.",
        'operations = ["snapshot create"]',
    ),
    Key(
        HOOK,
        "domains",
        "list of patterns",
        "all domains",
        "The domains for which it runs; upper and lower case differ.",
        'domains = ["web*"]',
    ),
    Key(
        HOOK,
        "run",
        "list: absolute path of a program, and its arguments",
        "must be given",
        "The program that is run; no shell sees it.",
        'run = ["/usr/local/bin/tell", "arg"]',
    ),
    Key(
        HOOK,
        "on_failure",
        '"warn" or "stop"',
        '"warn"',
        "What its failure does; stop, of a before hook only, refuses the operation.",
        'on_failure = "stop"',
    ),
    Key(
        HOOK,
        "timeout",
        "seconds, more than 0",
        "60",
        "How long it may run before it is killed.",
        "timeout = 60",
    ),
)


def keys_of(table: str) -> tuple[str, ...]:
    """Return the names of the keys that a table takes."""
    of = DEFAULTS if table == DOMAIN else table
    return tuple(key.name for key in KEYS if key.table == of)


def tables_with(name: str) -> tuple[str, ...]:
    """Return the tables, as they stand in a file, that take a key of that name."""
    return tuple(title for table, title in TITLES.items() if title and name in keys_of(table))
