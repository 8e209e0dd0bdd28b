"""One operation per domain, by locks that die with their last holder."""

import fcntl
import json
import os
import signal
import time
from datetime import UTC, datetime

import pytest

from vmsnap.errors import BusyError, ConfigError
from vmsnap.host import locks as module
from vmsnap.host.locks import FileLocks
from vmsnap.model import DomainId
from vmsnap.ports import Holder

WEB = DomainId("11111111-1111-4111-8111-111111111111")
MAIL = DomainId("22222222-2222-4222-8222-222222222222")

HOLDER = """
import sys
from pathlib import Path
from vmsnap.errors import ImageError
from vmsnap.host.locks import FileLocks
from vmsnap.host.processes import run
folder, domain_id, started = sys.argv[1:]
locks = FileLocks(Path(folder))
with locks.hold(domain_id, "group delete", 0):
    script = f"echo $$ > {started}.new; mv {started}.new {started}; exec sleep 60"
    run(["/bin/sh", "-c", script], task="sleep", error_class=ImageError, timeout_seconds=60,
        pass_fds=locks.inherited_fds() if INHERITS else ())
"""

LOOKER = """
import sys
from pathlib import Path
from vmsnap.host.locks import FileLocks
folder, domain_id, started = sys.argv[1:]
locks = FileLocks(Path(folder))
while True:
    locks.holder(domain_id)
    Path(started).touch()
"""

WAITER = """
import sys
from pathlib import Path
from vmsnap.host.locks import FileLocks
folder, domain_id, waiting = sys.argv[1:]
try:
    Path(waiting).touch()
    with FileLocks(Path(folder)).hold(domain_id, "snapshot create", 60):
        pass
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def _local_time():
    yield
    time.tzset()


def is_free(folder, domain_id=WEB):
    try:
        with FileLocks(folder).hold(domain_id, "try", 0):
            return True
    except BusyError:
        return False


def test_a_second_operation_on_the_domain_is_told_who_holds_it_and_since_when(
    tmp_path, monkeypatch
):
    """H48: two cron runs overlap; the time is written as in the lists."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    first = FileLocks(tmp_path, now=lambda: datetime(2026, 11, 22, 17, 1, tzinfo=UTC))

    with (
        first.hold(WEB, "snapshot create", 0),
        pytest.raises(BusyError) as caught,
        FileLocks(tmp_path).hold(WEB, "group delete", 0),
    ):
        pass

    assert caught.value.message.startswith(f"'snapshot create' (process {os.getpid()})")
    assert caught.value.hint == "--wait 60 waits for it for a minute"
    assert "since 2026-11-22 18:01:00 +0100" in caught.value.message


def test_a_refused_attempt_leaves_the_holder_its_lock_and_its_descriptors(tmp_path):
    locks = FileLocks(tmp_path)

    with locks.hold(WEB, "snapshot create", 0):
        with pytest.raises(BusyError), locks.hold(WEB, "group delete", 0):
            pass
        assert len(locks.inherited_fds()) == 1
        assert not is_free(tmp_path)

    assert locks.inherited_fds() == ()
    assert is_free(tmp_path)


def test_domains_do_not_wait_for_each_other(tmp_path):
    with FileLocks(tmp_path).hold(WEB, "group revert", 0):
        assert is_free(tmp_path, MAIL)


def test_a_lock_is_let_go_when_the_operation_fails(tmp_path):
    with pytest.raises(RuntimeError), FileLocks(tmp_path).hold(WEB, "group revert", 0):
        raise RuntimeError

    assert is_free(tmp_path)


def test_the_lock_file_stays_when_the_lock_is_let_go(tmp_path):
    """H48: a lock on a name that was unlinked would keep nobody out."""
    with FileLocks(tmp_path).hold(WEB, "group revert", 0):
        inode = (tmp_path / "locks" / f"{WEB}.lock").stat().st_ino

    status = (tmp_path / "locks" / f"{WEB}.lock").stat()
    assert status.st_ino == inode
    assert status.st_mode & 0o777 == 0o600
    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700


def test_waiting_gets_the_lock_once_the_holder_is_done(tmp_path, monkeypatch):
    holder = FileLocks(tmp_path).hold(WEB, "snapshot create", 0)
    holder.__enter__()
    # The first time that the waiter sleeps, the holder ends.
    monkeypatch.setattr(
        "vmsnap.host.locks.time.sleep", lambda _seconds: holder.__exit__(None, None, None)
    )

    with FileLocks(tmp_path).hold(WEB, "group delete", 30):
        assert not is_free(tmp_path)


def test_waiting_ends_when_the_time_is_up(tmp_path):
    """H4: every wait has a limit."""
    with (
        FileLocks(tmp_path).hold(WEB, "snapshot create", 0),
        pytest.raises(BusyError),
        FileLocks(tmp_path).hold(WEB, "group delete", 0.15),
    ):
        pass


def test_the_lock_of_a_killed_holder_is_free(tmp_path, python, wait_until):
    """H48: a stale lock stops no later run."""
    started = tmp_path / "started"
    holder = python(HOLDER.replace("INHERITS", "False"), tmp_path, WEB, started)
    wait_until(started.exists)
    sleeper = int(started.read_text())
    assert not is_free(tmp_path)

    holder.kill()
    holder.wait()

    assert is_free(tmp_path)
    os.kill(sleeper, signal.SIGKILL)


def test_the_lock_of_a_killed_holder_lives_as_long_as_a_program_that_inherited_it(
    tmp_path, python, wait_until
):
    """H56: a child process goes on writing after its parent was killed."""
    started = tmp_path / "started"
    holder = python(HOLDER.replace("INHERITS", "True"), tmp_path, WEB, started)
    wait_until(started.exists)
    sleeper = int(started.read_text())
    holder.kill()
    holder.wait()

    with (
        pytest.raises(BusyError, match="has ended, but a program that it started"),
        FileLocks(tmp_path).hold(WEB, "group delete", 0),
    ):
        pass
    os.kill(sleeper, signal.SIGKILL)

    wait_until(lambda: is_free(tmp_path))


def test_a_reader_is_told_who_holds_a_lock(tmp_path):
    """H48: as long as it is held, not longer."""
    now = datetime(2026, 11, 22, 17, 1, tzinfo=UTC)
    reader = FileLocks(tmp_path)
    assert reader.holder(WEB) is None

    with FileLocks(tmp_path, now=lambda: now).hold(WEB, "snapshot create", 0):
        assert reader.holder(WEB) == Holder("snapshot create", os.getpid(), now)
        assert reader.holder(MAIL) is None

    assert reader.holder(WEB) is None


def test_a_reader_never_takes_the_lock(tmp_path, monkeypatch):
    """H48: not even for a moment, in which a writer would be told that the domain is busy."""
    asked = []

    def spied(descriptor, operation, argument, real=fcntl.fcntl):
        asked.append(operation)
        return real(descriptor, operation, argument)

    with FileLocks(tmp_path).hold(WEB, "snapshot create", 0):
        monkeypatch.setattr(module.fcntl, "fcntl", spied)
        monkeypatch.setattr(module.fcntl, "flock", None)
        assert FileLocks(tmp_path).holder(WEB) is not None

    FileLocks(tmp_path).holder(WEB)
    assert set(asked) == {fcntl.F_OFD_GETLK}


def test_readers_that_look_all_the_time_never_make_a_writer_busy(tmp_path, python, wait_until):
    """H48."""
    started = tmp_path / "started"
    for _ in range(2):
        python(LOOKER, tmp_path, WEB, started)
    wait_until(started.exists)

    for _ in range(300):
        with FileLocks(tmp_path).hold(WEB, "group delete", 0):
            pass


def test_what_a_dead_holder_left_in_the_file_names_nobody(tmp_path, python, wait_until):
    """H48: neither after kill -9, nor after a reboot, nor where its number is another's by now."""
    started = tmp_path / "started"
    holder = python(HOLDER.replace("INHERITS", "False"), tmp_path, WEB, started)
    wait_until(started.exists)
    holder.kill()
    holder.wait()
    os.kill(int(started.read_text()), signal.SIGKILL)
    left = json.loads((tmp_path / "locks" / f"{WEB}.lock").read_text())
    assert left["pid"] == holder.pid

    assert FileLocks(tmp_path).holder(WEB) is None
    (tmp_path / "locks" / f"{WEB}.lock").write_text(json.dumps({**left, "pid": os.getpid()}))
    assert FileLocks(tmp_path).holder(WEB) is None
    assert is_free(tmp_path)


@pytest.mark.parametrize("birth", ["1 another-boot", "", None], ids=str)
def test_a_process_that_only_has_the_number_of_the_holder_is_not_shown_as_it(tmp_path, birth):
    """H48, H56: a program of a killed holder still writes, and its number was given anew."""
    path = tmp_path / "locks" / f"{WEB}.lock"
    with FileLocks(tmp_path).hold(WEB, "group delete", 0):
        said = json.loads(path.read_text())
        path.write_text(json.dumps({**said, "birth": birth}))

        found = FileLocks(tmp_path).holder(WEB)
        assert found is not None
        assert found.has_ended
        assert "has ended, but a program that it started" in str(found)


def test_who_took_the_lock_this_moment_is_named_once_it_has_said_who_it_is(tmp_path, monkeypatch):
    path = tmp_path / "locks" / f"{WEB}.lock"
    with FileLocks(tmp_path).hold(WEB, "group delete", 0):
        said = path.read_text()
        path.write_text("")
        monkeypatch.setattr(module.time, "sleep", lambda _seconds: path.write_text(said))

        assert str(FileLocks(tmp_path).holder(WEB)).startswith("'group delete' (process ")


def test_a_user_who_may_not_look_learns_of_no_holder(tmp_path, monkeypatch):
    def denied(*_words, **_options):
        raise PermissionError(13, "Permission denied")

    with FileLocks(tmp_path).hold(WEB, "group delete", 0):
        monkeypatch.setattr(os, "open", denied)
        assert FileLocks(tmp_path).holder(WEB) is None


def test_a_signal_ends_the_wait_for_a_lock(tmp_path, python, wait_until):
    """H48: nothing is held or changed then."""
    with FileLocks(tmp_path).hold(WEB, "group delete", 0):
        waiting = tmp_path / "waiting"
        waiter = python(WAITER, tmp_path, WEB, waiting)
        wait_until(waiting.exists)
        waiter.send_signal(signal.SIGINT)
        assert waiter.wait(20) == 130
        assert str(FileLocks(tmp_path).holder(WEB)).startswith("'group delete'")


def test_a_lock_file_that_says_nothing_still_keeps_others_out(tmp_path):
    with FileLocks(tmp_path).hold(WEB, "group delete", 0):
        (tmp_path / "locks" / f"{WEB}.lock").write_text("torn")

        with (
            pytest.raises(BusyError, match="another operation is at work"),
            FileLocks(tmp_path).hold(WEB, "group delete", 0),
        ):
            pass


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "state").write_text("a file")

    with (
        pytest.raises(ConfigError, match="cannot use the lock"),
        FileLocks(tmp_path / "state").hold(WEB, "group delete", 0),
    ):
        pass


def test_a_folder_that_only_root_may_use_says_so(tmp_path, monkeypatch):
    def denied(*_words, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="cannot use the lock") as caught:
        FileLocks(tmp_path).hold(WEB, "group delete", 0).__enter__()
    assert caught.value.hint == "run vmsnap as root"
