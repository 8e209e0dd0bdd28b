"""The names in an SQLite database, read by the plain driver: SQLAlchemy takes a quarter second."""

import os
import stat

REVISIONS = ("0001", "0002", "0003", "0004")
"""The revisions of the schema whose tables have what is read here."""

_BUSY_SECONDS = 0.2
_DOMAINS = "SELECT name FROM domain ORDER BY name"
_OF_DOMAIN = """
    SELECT name FROM resource WHERE is_ready
    AND CASE :kind
        WHEN 'group' THEN
            uuid IN (SELECT resource_uuid FROM snapshot_group WHERE kind <> 'single')
        WHEN 'snapshot' THEN
            uuid IN (SELECT resource_uuid FROM snapshot_group WHERE kind = 'single')
        WHEN 'backup' THEN
            uuid IN (SELECT resource_uuid FROM backup)
        END
    AND domain_uuid IN (
        SELECT uuid FROM domain WHERE name = :domain
        UNION SELECT domain_uuid FROM resource WHERE domain_name = :domain
            OR length(:domain) >= 8 AND instr(domain_uuid, lower(:domain)) = 1)
    ORDER BY created_at
"""


def stored_names(path: str, kind: str, domain: str) -> list[str]:
    """Return the names of a kind, oldest first: group, backup or snapshot of a domain, or domain.

    `snapshot` are the single ones, which are named GROUP/TARGET. `domain` is a name, a UUID or the
    beginning of one. No file is made or changed. There are none without a database that can be
    read at once, or if its schema is not known.
    """
    try:
        # A pipe would be waited for.
        is_file = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - pathlib takes 8 ms
    except (OSError, ValueError):  # ValueError: a path that cannot be one
        return []
    return _read(path, kind, domain) if is_file else []


def _read(path: str, kind: str, domain: str) -> list[str]:
    import sqlite3

    try:
        database = sqlite3.connect(
            _uri(path), uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error:
        return []
    try:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
        if found is None or found[0] not in REVISIONS:
            return []
        statement = _DOMAINS if kind == "domain" else _OF_DOMAIN
        rows = database.execute(statement, {"kind": kind, "domain": domain})
        return [str(name) for (name,) in rows]
    except sqlite3.Error:
        return []
    finally:
        database.close()


def _uri(path: str) -> str:
    """Return the URI that reads a database and makes no file beside it.

    SQLite would make the index of a write-ahead log (-shm) that has none; without one nobody works
    in the database now, and what stands in the main file is taken as it is.
    """
    mode = "mode=ro" if os.access(f"{path}-shm", os.F_OK) else "mode=ro&immutable=1"
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{escaped}?{mode}"
