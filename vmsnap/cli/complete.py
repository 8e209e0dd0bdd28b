"""The names that a shell offers: `vmsnap __complete KIND [OPERAND]...`, which nobody types."""

import os

# Typer, SQLAlchemy and libvirt are not imported here, nor what the rest of vmsnap begins with
# (dataclasses, pathlib, re, typing): each takes as long as half of Python's own start, or more.

_STDOUT = 1


def complete(words: list[str]) -> int:
    """Print the names of a kind, one a line; whatever fails, print nothing and return 0.

    KIND is domain, gone (one that is undefined), known (either), disk, group, backup or snapshot.
    The OPERANDs are those before the cursor, the domain first; they are not offered again. What was
    typed of --connect, --database and --config comes in their variables: there nobody else can read
    it.
    """
    try:
        kind, *operands = words
        names = _names(kind, operands, dict(os.environ))
        given = operands if kind in ("domain", "gone", "known") else operands[1:]
        lines = [f"{name}\n" for name in names if name not in given and _is_plain(name)]
        # Past the stream: what a shell that has gone did not read would be an error at the end.
        os.write(_STDOUT, "".join(lines).encode())
    except (Exception, KeyboardInterrupt):  # noqa: BLE001, S110 - no room for an error: a line is being typed
        pass
    return 0


def _names(kind: str, operands: list[str], environment: dict[str, str]) -> list[str]:
    if kind in ("domain", "disk"):
        return _listed(kind, operands, environment)
    if kind in ("gone", "known"):
        defined = _listed("domain", operands, environment)
        gone = [name for name in _stored("domain", "", environment) if name not in defined]
        return gone if kind == "gone" else [*defined, *gone]
    return _stored(kind, operands[0], environment) or [
        # A domain that was renamed: the database learns of it with the next operation.
        name
        for uuid in _listed("uuid", operands, environment)
        for name in _stored(kind, uuid, environment)
    ]


def _listed(kind: str, operands: list[str], environment: dict[str, str]) -> list[str]:
    from vmsnap.cli.complete_settings import libvirt_uri
    from vmsnap.host import listed_names

    uri = libvirt_uri(environment)
    if kind == "domain":
        return listed_names.domain_names(uri)
    find = listed_names.disk_targets if kind == "disk" else listed_names.domain_uuids
    return find(uri, operands[0])


def _stored(kind: str, domain: str, environment: dict[str, str]) -> list[str]:
    from vmsnap.cli.complete_settings import database_file
    from vmsnap.store.stored_names import stored_names

    path = database_file(environment)
    return [] if path is None else stored_names(path, kind, domain)


def _is_plain(name: str) -> bool:
    """Tell whether a terminal shows a name as it is."""
    if name.isprintable():
        return True
    from vmsnap.cli.terminal.text import clean

    return clean(name) == name
