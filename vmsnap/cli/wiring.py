"""Settings made into ports: the one place that knows every adapter; imported when first needed."""

import os
import pwd
import shlex
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from vmsnap.cli.need import Need
from vmsnap.config import Settings
from vmsnap.errors import DatabaseError, DatabaseUnusableError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.guest_watcher import ProcessGuestWatcher
from vmsnap.host.hooks import ProcessHooks
from vmsnap.host.host_files import LocalHostFiles
from vmsnap.host.hypervisor import LibvirtHypervisor
from vmsnap.host.identity_files import HiddenIdentityFiles
from vmsnap.host.images import QemuImages
from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.locks import FileLocks
from vmsnap.model import DatabaseStatus, DomainId, JsonObject
from vmsnap.ports import Hook, HookMoment, Ports, Reporter
from vmsnap.store import copying, opening
from vmsnap.store.catalog import SqlCatalog
from vmsnap.store.empty import EmptyCatalog


class SystemClock:
    """The Clock of this machine."""

    def now(self) -> datetime:
        """Return the present time, aware, in UTC."""
        return datetime.now(UTC)

    def ticks(self) -> float:
        """Return seconds of a clock that only runs forward, for measuring."""
        return time.monotonic()

    def new_id(self) -> str:
        """Return a new random UUID."""
        return str(uuid.uuid4())


class _WatchedJournals(FolderJournals):
    """Remembers whether an operation was begun or settled, for what is said after a signal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._has_begun = False
        self._looked_at: set[DomainId] = set()

    @property
    def has_begun(self) -> bool:
        """Whether something was changed, or a journal that was looked at still stands."""
        return self._has_begun or any(id_ in self._looked_at for id_ in self.pending())

    def start(self, domain_id: DomainId, header: JsonObject) -> None:
        self._has_begun = True
        super().start(domain_id, header)

    def load(self, domain_id: DomainId) -> tuple[JsonObject, ...]:
        self._looked_at.add(domain_id)
        return super().load(domain_id)

    def remove(self, domain_id: DomainId) -> None:
        self._has_begun = True
        super().remove(domain_id)


def who_asks() -> str:
    """Return the login name of who runs this, with sudo the one before it; never fails.

    Only root is believed to have come by sudo: anybody may set its variable.
    """
    uid = os.getuid()
    name = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    try:
        name = name or pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    # What is no UTF-8 would be refused by the database.
    return name.encode("utf-8", "replace").decode()


class Wiring:
    """The ports of one verb, open until `close`."""

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        need: Need,
        catalog: SqlCatalog | EmptyCatalog | None = None,
    ) -> None:
        """Open the database and prepare all else; libvirt is connected to at the first call.

        A `catalog` that is open already is used as it is. Raises ConfigError if the database or the
        connection URI cannot be used.
        """
        definitions = XmlDefinitions.for_uri(settings.connect_uri)
        locks = FileLocks(settings.state_folder)
        self._settings = settings
        self._need = need
        self._catalog = catalog or _open_catalog(
            settings, need, FolderJournals(settings.state_folder)
        )
        self.is_beside = catalog is not None
        """Whether it uses the database of another."""
        self._journals = _WatchedJournals(settings.state_folder)
        self._is_changing = need not in {Need.NOTHING, Need.READ}
        self.ports = Ports(
            hypervisor=LibvirtHypervisor(settings.connect_uri, definitions),
            definitions=definitions,
            images=QemuImages(locks.inherited_fds),
            host_files=LocalHostFiles(),
            catalog=self._catalog,
            journals=self._journals,
            locks=locks,
            reporter=reporter,
            clock=SystemClock(),
            watcher=ProcessGuestWatcher(settings.connect_uri),
            identities=HiddenIdentityFiles(),
            hooks=ProcessHooks(_hooks(settings)),
            wait_seconds=settings.wait_seconds,
            user=who_asks(),
        )

    @property
    def has_begun(self) -> bool:
        """Whether an operation that changes something was begun."""
        return self._is_changing and self._journals.has_begun

    def beside(self) -> "Wiring":
        """Return ports for a thread of its own: they share the database, and close before this.

        Opening it, and compiling each statement, would be done anew for each of several domains.
        """
        return Wiring(self._settings, self.ports.reporter, self._need, self._catalog)

    def close(self) -> None:
        """Close the database, unless it is another's."""
        if not self.is_beside:
            self._catalog.close()


def database_status(settings: Settings) -> DatabaseStatus:
    """Say which database the settings name and what it holds."""
    return opening.database_status(settings.database_url, make_folder=settings.is_default_database)


def planned_upgrade(settings: Settings) -> DatabaseStatus:
    """Say what an upgrade would begin with. Raises SchemaError if the schema is newer."""
    return opening.planned_upgrade(settings.database_url, make_folder=settings.is_default_database)


def upgrade_database(settings: Settings) -> tuple[DatabaseStatus, Path | None]:
    """Upgrade the database's schema; say where an SQLite file was copied before."""
    return opening.upgrade_database(settings.database_url, make_folder=settings.is_default_database)


def copy_database(settings: Settings, target: Path, *, may_replace: bool) -> int:
    """Copy the database at one instant to an SQLite file; return the file's size."""
    return copying.copy_database(settings.database_url, target, may_replace=may_replace)


def _hooks(settings: Settings) -> tuple[Hook, ...]:
    return tuple(
        Hook(
            moment=HookMoment(hook.when.value),
            command=hook.run,
            operations=hook.operations,
            domains=hook.domains,
            may_stop=hook.on_failure.value == "stop",
            timeout_seconds=hook.timeout_seconds,
        )
        for hook in settings.hooks
    )


def _open_catalog(
    settings: Settings, need: Need, journals: FolderJournals
) -> SqlCatalog | EmptyCatalog:
    if need is Need.NOTHING:
        return opening.unopened_catalog(settings.database_url)
    try:
        return _open_what_is_there(settings, need, journals)
    except DatabaseUnusableError as error:
        if need is not Need.WRITE or not journals.pending():
            raise
        # What was interrupted waits for its database: a failure, not a wrong setting.
        raise DatabaseError(error.message, hint=error.hint) from error


def _open_what_is_there(
    settings: Settings, need: Need, journals: FolderJournals
) -> SqlCatalog | EmptyCatalog:
    shown = _shown_if_missing(settings) if need is not Need.READ else None
    if shown is not None:
        _refuse_missing(shown, journals, need)
    catalog = opening.open_catalog(
        settings.database_url,
        create=need is Need.MAKE or (need is Need.WRITE and shown is None),
        make_folder=settings.is_default_database,
    )
    if isinstance(catalog, EmptyCatalog):
        _refuse_missing(catalog.status().url, journals, need)
    return catalog


def _shown_if_missing(settings: Settings) -> str | None:
    status = database_status(settings)
    return None if status.exists else status.url


def _refuse_missing(url: str, journals: FolderJournals, need: Need) -> None:
    """Raise DatabaseUnusableError if a missing database is that of an interrupted operation.

    None is made either while one is pending: it would pass for the one that was lost.
    """
    for domain_id in journals.pending():
        header = next(iter(journals.load(domain_id)), {})
        named = str(header.get("database", url))
        if named == url:
            raise DatabaseUnusableError(
                f"database '{url}' is missing, though an interrupted operation on domain"
                f" '{_name_in(header, domain_id)}' names it",
                hint="put the database back, or name it with --database; then: vmsnap recover"
                + _way_without(url, _name_in(header, domain_id)),
            )
        if need is Need.MAKE:
            raise DatabaseUnusableError(
                f"database '{url}' is missing, and none is made before the operation that was"
                f" interrupted on domain '{_name_in(header, domain_id)}' is recovered",
                hint=shlex.join(("vmsnap", "--database", named, "recover")),
            )


def _way_without(url: str, name: str) -> str:
    """Say what to do if the database is lost for good; a server's may just not be there yet."""
    if not url.startswith("sqlite:"):
        return ""
    words = ("--", name) if name.startswith("-") else (name,)
    rebuild = shlex.join(("vmsnap", "--database", url, "db", "rebuild", *words))
    return f"; if it is lost for good: {rebuild}"


def _name_in(header: JsonObject, domain_id: DomainId) -> str:
    operation = header.get("operation")
    name = operation.get("domain_name") if isinstance(operation, dict) else None
    return str(name or domain_id)
