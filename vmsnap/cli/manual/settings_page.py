"""The manual page of config.toml, vmsnap.conf(5)."""

from collections.abc import Iterable, Iterator

from vmsnap.cli.manual.roff import bold, example, head, paragraph, section, subsection, term
from vmsnap.config import SYSTEM_CONFIG_FILE
from vmsnap.config.reference import DEFAULTS, DOMAIN, HOOK, KEYS, TITLES, TOP, Key

_OWN_FILE = "~/.config/vmsnap/config.toml"
_READING = (
    f"Settings stand in `{SYSTEM_CONFIG_FILE}`, for the system's libvirt, and in the own file of "
    f"whoever runs vmsnap, `{_OWN_FILE}`; neither has to be there. With `--config` or "
    "VMSNAP_CONFIG that file alone is read. An option comes before its variable, a variable before "
    "the own file, and that before the system's. `vmsnap config show` says each value and where it "
    "came from.",
    "The files are written in TOML. An unknown key is an error, and vmsnap says which one was "
    "meant; `vmsnap recover` and `vmsnap doctor` only warn of what is wrong, unless it may concern "
    "connect or database. Where root runs vmsnap the file must belong to root and nobody else may "
    "write to it; one that holds a password must have the mode 0600.",
)
_OF_TABLES = {
    TOP: "They stand at the beginning of the file, before any table.",
    DEFAULTS: "They hold for every domain.",
    DOMAIN: (
        "The same keys as in [defaults], for the domains whose name fits the pattern: * is any "
        "text, ? any character; upper and lower case differ. If several fit, the last one in the "
        "file that has a key wins."
    ),
    HOOK: (
        "A program that runs before or after operations; there can be any number. It finds what "
        "is done in its environment: VMSNAP_HOOK_WHEN, VMSNAP_HOOK_OPERATION, VMSNAP_HOOK_DOMAIN, "
        "VMSNAP_HOOK_DOMAIN_UUID and VMSNAP_HOOK_NAME, and afterwards VMSNAP_HOOK_STATUS, "
        "VMSNAP_HOOK_CODE and VMSNAP_HOOK_CHANGED."
    ),
}
_NEEDED = "must be given"
_PATTERN_EXAMPLE = ('[domain."web*"]', 'exclude = ["vdc"]', "keep_last = 7")


def settings_page(version: str) -> str:
    """Return man/vmsnap.conf.5."""
    return "\n".join(
        (
            *head("vmsnap.conf", 5, version),
            *section("NAME", ["vmsnap.conf \\- settings of vmsnap"]),
            *section("SYNOPSIS", [bold(str(SYSTEM_CONFIG_FILE)), ".br", bold(_OWN_FILE)]),
            *section("DESCRIPTION", (line for text in _READING for line in paragraph(text))),
            *section("KEYS ABOVE ALL TABLES", _table(TOP)),
            *section("TABLES", _tables()),
            *section("EXAMPLES", example(_example())),
            *section("SEE ALSO", [".BR vmsnap (1),", ".BR vmsnap\\-config\\-show (1)"]),
            "",
        )
    )


def _tables() -> Iterator[str]:
    for table in (DEFAULTS, DOMAIN, HOOK):
        yield from subsection(TITLES[table], _table(table))


def _table(table: str) -> Iterator[str]:
    yield from paragraph(_OF_TABLES[table])
    for key in _keys(table):
        otherwise = "It" if key.default == _NEEDED else "Without it:"
        text = f"{key.meaning} Takes: {key.type}. {otherwise} {key.default}."
        yield from term(bold(key.name), text)


def _keys(table: str) -> tuple[Key, ...]:
    return tuple(key for key in KEYS if key.table == table)


def _example() -> Iterable[str]:
    yield from (key.example for key in _keys(TOP) if key.name in ("wait", "metrics_file"))
    yield ""
    yield TITLES[DEFAULTS]
    yield from (key.example for key in _keys(DEFAULTS))
    yield ""
    yield from _PATTERN_EXAMPLE
    yield ""
    yield TITLES[HOOK]
    yield from (key.example for key in _keys(HOOK))
