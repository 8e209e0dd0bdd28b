import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from servers.required import skip_or_fail

from vmsnap.errors import DatabaseError, DatabaseUnusableError, SchemaError
from vmsnap.model import CatalogChange, DomainId, DomainRecord, HostId, OperationId
from vmsnap.store import engines, opening, schema
from vmsnap.store.catalog import SqlCatalog
from vmsnap.store.empty import EmptyCatalog
from vmsnap.store.opening import database_status, open_catalog, upgrade_database

RECORD = DomainRecord(HostId("h"), DomainId("d"), "web1")


@pytest.fixture
def loose_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_reading_without_a_database_finds_nothing_and_makes_nothing(path, url):
    catalog = open_catalog(url, create=False)
    assert isinstance(catalog, EmptyCatalog)
    catalog.ping()
    assert catalog.groups() == catalog.resources() == catalog.records() == ()
    assert catalog.status() == database_status(url)
    assert not catalog.status().exists
    assert not path.exists()


def test_without_a_database_nobody_knows_whether_an_operation_committed(url):
    catalog = open_catalog(url, create=False)
    with pytest.raises(DatabaseError, match="there is no database"):
        catalog.was_committed(OperationId("x"))


def test_the_first_write_makes_a_current_database_with_an_identity(url):
    with closing(open_catalog(url, create=True)) as catalog:
        assert isinstance(catalog, SqlCatalog)
        assert catalog.status().is_current
        assert catalog.status().identity
    assert database_status(url).is_current


def test_two_databases_have_two_identities(path, url):
    open_catalog(url, create=True).close()
    first = database_status(url).identity
    path.unlink()
    open_catalog(url, create=True).close()
    assert database_status(url).identity != first


@pytest.mark.usefixtures("loose_umask")
def test_folder_and_files_are_private_whatever_the_umask(tmp_path):
    folder = tmp_path / "a" / "vmsnap"
    url = f"sqlite:///{folder}/vmsnap.db"
    with closing(open_catalog(url, create=True, make_folder=True)) as catalog:
        catalog.apply(CatalogChange(record=RECORD))
        names = sorted(file.name for file in folder.iterdir())
        assert names == ["vmsnap.db", "vmsnap.db-shm", "vmsnap.db-wal"]
        assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert mode(folder) == 0o700


def test_a_database_that_others_could_read_is_made_private_by_a_writer(made, url):
    made.chmod(0o644)
    open_catalog(url, create=False).close()
    assert mode(made) == 0o644
    open_catalog(url, create=True).close()
    assert mode(made) == 0o600


def test_the_default_folder_may_be_missing_but_no_other(tmp_path):
    """H52: a folder that was mounted yesterday must not look like an empty list."""
    url = f"sqlite:///{tmp_path}/missing/vmsnap.db"
    assert isinstance(open_catalog(url, create=False, make_folder=True), EmptyCatalog)
    for create in (False, True):
        with pytest.raises(DatabaseUnusableError, match="is missing") as caught:
            open_catalog(url, create=create)
        assert caught.value.hint.startswith("mkdir")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("kind", ["folder", "fifo", "garbage", "other program's", "loop"])
def test_what_is_there_and_is_no_database_is_refused(path, url, run_sql, kind, create):
    """H52: never an empty list for what cannot be read."""
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        run_sql(path, "CREATE TABLE resource (x)")
    with pytest.raises(DatabaseUnusableError) as caught:
        open_catalog(url, create=create)
    assert caught.value.exit_code == 10
    with pytest.raises(DatabaseUnusableError):
        database_status(url)


def test_an_empty_file_is_a_database_that_was_not_made_yet(path, url):
    path.touch(mode=0o600)
    assert isinstance(open_catalog(url, create=False), EmptyCatalog)
    with closing(open_catalog(url, create=True)) as catalog:
        assert catalog.status().is_current


@pytest.fixture
def read_only_folder(tmp_path):
    """A folder on a file system that is mounted read-only, with a database in it."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    open_catalog(f"sqlite:///{folder}/vmsnap.db", create=True).close()
    mount = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        skip_or_fail("needs the right to mount")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_file_system_is_refused_before_anything_is_changed(read_only_folder):
    """H52: with status 10, by a writer as by a reader."""
    for name in ("vmsnap.db", "new.db"):
        with pytest.raises(DatabaseUnusableError) as caught:
            open_catalog(f"sqlite:///{read_only_folder}/{name}", create=True)
        assert caught.value.exit_code == 10


def test_a_newer_schema_is_refused(made, url, run_sql):
    """H52: a database that this program does not know is left alone."""
    run_sql(made, "UPDATE alembic_version SET version_num = '9999'")
    for create in (False, True):
        with pytest.raises(SchemaError, match="newer"):
            open_catalog(url, create=create)
    with pytest.raises(SchemaError, match="newer"):
        upgrade_database(url)
    assert database_status(url).revision == "9999"


def test_a_database_that_is_removed_in_the_middle_is_noticed(made, url):
    """H52: SQLite alone would write on into the lost file."""
    with closing(open_catalog(url, create=True)) as catalog:
        catalog.apply(CatalogChange(record=RECORD))
        made.rename(made.with_name("away.db"))
        for work in (catalog.ping, lambda: catalog.apply(CatalogChange(record=RECORD))):
            with pytest.raises(DatabaseError, match="was removed while in use") as caught:
                work()
            assert caught.value.exit_code == 22
        assert not made.exists()


def test_a_database_that_was_replaced_in_the_middle_is_noticed(made, url):
    """H52: another file under the same name is another database."""
    with closing(open_catalog(url, create=True)) as catalog:
        copy = made.with_name("copy.db")
        shutil.copy(made, copy)
        copy.replace(made)
        with pytest.raises(DatabaseError, match="was removed while in use"):
            catalog.ping()


def test_a_write_that_another_process_blocks_ends_in_time(made, url, monkeypatch):
    """H4: every wait has a limit."""
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    with (
        closing(open_catalog(url, create=True)) as catalog,
        closing(sqlite3.connect(made, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="database is locked"):
            catalog.apply(CatalogChange(record=RECORD))
        other.execute("ROLLBACK")
        catalog.apply(CatalogChange(record=RECORD))


def test_a_failed_making_leaves_no_file(path, url, monkeypatch):
    def fail(_database):
        raise DatabaseUnusableError("broken")

    monkeypatch.setattr(opening, "migrate", fail)
    with pytest.raises(DatabaseUnusableError, match="broken"):
        open_catalog(url, create=True)
    assert list(path.parent.iterdir()) == []


def test_two_processes_that_make_the_database_at_once_share_one(path, url):
    program = f"""
from vmsnap.store.opening import open_catalog
print(open_catalog({url!r}, create=True).status().identity)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(3)
    ]
    identities = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert identities == {f"{database_status(url).identity}\n".encode()}
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []


def test_the_database_syncs_fully_and_checks_foreign_keys(made, url):
    with closing(open_catalog(url, create=True)) as catalog:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        found = catalog._database.read(
            lambda connection: [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked
            ]
        )
    assert found == ["wal", 2, 1]


def test_revisions_are_those_of_the_migrations():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", schema.MIGRATIONS)
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(script.revision for script in reversed(scripts)) == schema.REVISIONS


def test_opening_a_current_database_does_not_import_alembic(made, url):
    program = f"""
import sys
from vmsnap.store.opening import open_catalog
open_catalog({url!r}, create=True).groups()
assert "alembic" not in sys.modules and "pymysql" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


READ_ONLY = """
import sys
from vmsnap.errors import DatabaseUnusableError
from vmsnap.store.opening import database_status, open_catalog
url = sys.argv[1]
print(database_status(url).is_current)
print([record.name for record in open_catalog(url, create=False).records()])
try:
    open_catalog(url, create=True)
except DatabaseUnusableError as error:
    print(error.message, "|", error.hint)
"""


def read_only(folder, *command):
    """Run a command that sees a folder mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return subprocess.run(
        ["unshare", "-m", "/bin/sh", "-c", script, folder, *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def may_mount(tmp_path):
    if os.geteuid() != 0 or read_only(tmp_path, "true").returncode != 0:
        skip_or_fail("only root may mount, and not in every container")


@pytest.mark.usefixtures("may_mount")
def test_a_database_on_a_read_only_file_system_is_read_and_not_written(path, url):
    with closing(open_catalog(url, create=True)) as catalog:
        catalog.apply(CatalogChange(record=RECORD))
    done = read_only(path.parent, sys.executable, "-c", READ_ONLY, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "True",
        "['web1']",
        f"database '{path}' is on a read-only file system | findmnt -T {path}",
    ]


@pytest.mark.usefixtures("may_mount")
def test_a_log_on_a_read_only_file_system_is_never_ignored(path, url, tmp_path):
    """What was committed last stands in the write-ahead log alone."""
    with closing(open_catalog(url, create=True)) as catalog:
        catalog.apply(CatalogChange(record=RECORD))
        copy = tmp_path / "copied"
        copy.mkdir()
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.with_name(name), copy)
    code = "import sys; from vmsnap.store.opening import database_status as s; s(sys.argv[1])"
    done = read_only(copy, sys.executable, "-c", code, f"sqlite:///{copy / path.name}")
    assert "DatabaseUnusableError" in done.stderr
    assert "on a read-only file system with a write-ahead log" in done.stderr


def test_a_database_that_may_not_be_read_says_who_may(made, url, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may read everything
    with pytest.raises(DatabaseUnusableError, match="permission denied") as caught:
        open_catalog(url, create=False)
    assert caught.value.hint == "run vmsnap as root"
