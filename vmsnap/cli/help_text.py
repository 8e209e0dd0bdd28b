"""What stands below every `--help`: examples, the global options, exit statuses and files."""

STATUSES = {
    0: "done",
    1: "a bug in vmsnap",
    2: "usage, or a question that could not be asked",
    3: "finished, but incomplete, or done and stdout not writable",
    10: "configuration or database not usable, or stdout not writable",
    11: "no such domain",
    12: "no such group, backup or snapshot, or an id that fits several",
    13: "the name is taken",
    14: "wrong state, or not supported",
    15: "not available for revert",
    16: "not enough space",
    17: "a hook refused",
    20: "libvirt failed",
    21: "a host file failed",
    22: "the database failed",
    23: "contents do not match their digest",
    24: "a disk image failed",
    30: "the host was left changed: run 'vmsnap recover'",
    75: "busy, try again later",
    130: "interrupted (SIGINT)",
    143: "terminated (SIGTERM, SIGHUP)",
}
"""The words of the exit statuses, as all help texts show them."""

_COMMON = (0, 2, 10)
RANGES = "10-19: refused, nothing was changed. 20-29: a failure; what had been changed was undone."
_GLOBALS = (
    "Global options, before or after the verb: --connect URI, --database URL, --config FILE, "
    "--json, -q, -v, --wait SECONDS, --metrics-file FILE, --version. 'vmsnap --help' explains them."
)


def epilog(*examples: str, statuses: tuple[int, ...] = ()) -> str:
    """Compose what follows the options of a verb; 0, 2 and 10 are among the statuses always."""
    shown = sorted({*_COMMON, *statuses})
    return "\n\n".join(
        (
            _block("Examples:", [f"  {example}" for example in examples]),
            _GLOBALS,
            _block("Exit statuses:", [f"  {number:<4} {STATUSES[number]}" for number in shown]),
            RANGES,
        )
    )


def group_epilog(*examples: str) -> str:
    """Compose what follows the options of a group of verbs."""
    return _block("Examples:", [f"  {example}" for example in examples])


def root_epilog(log_file: str) -> str:
    """Compose what follows the options of `vmsnap --help`; `log_file` is a path."""
    return "\n\n".join(
        (
            _block(
                "Examples:",
                [
                    "  vmsnap vm list",
                    "  vmsnap snapshot create web1 --name before-upgrade",
                    "  vmsnap group revert web1 before-upgrade",
                    "  vmsnap undo web1",
                ],
            ),
            "Global options stand before or after the verb. Each has a variable (VMSNAP_CONNECT, "
            "VMSNAP_DATABASE, VMSNAP_CONFIG, VMSNAP_JSON, VMSNAP_QUIET, VMSNAP_VERBOSE, "
            "VMSNAP_WAIT, VMSNAP_METRICS_FILE), and all but --config and --version a key in "
            "config.toml.",
            _block("Exit statuses:", [f"  {number:<4} {STATUSES[number]}" for number in STATUSES]),
            RANGES,
            _block("Files:", [f"  {log_file}  (what every changing run did)"]),
        )
    )


def blocks(epilog: str) -> dict[str, list[str]]:
    """Take an epilog apart: the lines below each of its titles, `Examples:` for instance."""
    found = (part.splitlines() for part in epilog.split("\n\n") if part.startswith("\b"))
    return {title: [line.strip() for line in lines] for _, title, *lines in found}


def _block(title: str, lines: list[str]) -> str:
    # \b: Click keeps the line breaks of a paragraph that begins with it.
    return "\n".join(("\b", title, *lines))
