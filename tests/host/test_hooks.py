"""Hooks end, or are killed with all that they started, and get nothing of vmsnap's."""

import logging
import os
import time

import pytest

from vmsnap.errors import HookError
from vmsnap.host.births import birth_of
from vmsnap.host.hooks import KEPT_BYTES, ProcessHooks
from vmsnap.host.locks import FileLocks
from vmsnap.ports import Hook, HookMoment

DOMAIN = "aaaaaaaa-0000-4000-8000-000000000001"


def hook(*command, **options):
    return Hook(HookMoment.BEFORE, command, **options)


def run(*command, variables=None, is_cancelled=lambda: False, **options):
    given = hook(*command, **options)
    ProcessHooks((given,)).run(given, variables or {}, is_cancelled)


def shell(script, **options):
    run("/bin/sh", "-c", script, **options)


def has_gone(path):
    """Wait until the process whose number stands in a file is gone."""
    until = time.monotonic() + 10
    while birth_of(int(path.read_text())):
        assert time.monotonic() < until
        time.sleep(0.01)
    return True


def test_a_hook_reads_what_it_is_told_and_no_variable_of_vmsnaps(tmp_path, monkeypatch):
    """A database URL may hold a password."""
    monkeypatch.setenv("VMSNAP_DATABASE", "mysql+pymysql://vmsnap:secret@db/vmsnap")
    monkeypatch.setenv("VMSNAP_CONFIG", "/etc/secret.toml")
    monkeypatch.setenv("MYSQL_PWD", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    seen = tmp_path / "seen"

    run("/bin/sh", "-c", f"env > {seen}", variables={"VMSNAP_HOOK_DOMAIN": "wéb 1"})

    lines = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    own = {"PWD", "OLDPWD", "SHLVL", "_"}  # the shell's
    assert set(lines) - own == {"PATH", "HOME", "LANG", "VMSNAP_HOOK_DOMAIN"}
    assert lines["VMSNAP_HOOK_DOMAIN"] == "wéb 1"
    assert lines["PATH"] == os.environ["PATH"]
    assert "secret" not in seen.read_text()


def test_a_hook_has_a_path_and_a_home_where_cron_gave_none(tmp_path, monkeypatch):
    monkeypatch.delenv("PATH")
    monkeypatch.delenv("HOME")
    seen = tmp_path / "seen"

    run("/bin/sh", "-c", f'echo "$PATH $HOME" > {seen}')

    path, home = seen.read_text().split()
    assert "/usr/local/bin" in path.split(":")
    assert home.startswith("/")


def test_a_hook_is_run_without_a_shell(tmp_path):
    target = tmp_path / "made"
    run("/bin/echo", f"$(touch {target})", f"; touch {target}")
    assert not target.exists()


def test_a_hook_inherits_no_descriptor_and_so_not_the_lock(tmp_path):
    """H48: a hook that stays in the background must not keep the domain busy."""
    seen, pid = tmp_path / "seen", tmp_path / "pid"
    locks = FileLocks(tmp_path / "state")
    with locks.hold(DOMAIN, "test", 0), (tmp_path / "other").open("w"):
        shell(f"ls -l /proc/self/fd > {seen}; sleep 60 >/dev/null 2>&1 & echo $! > {pid}")
        assert locks.holder(DOMAIN) is not None
    try:
        assert birth_of(int(pid.read_text()))
        assert locks.holder(DOMAIN) is None
    finally:
        os.kill(int(pid.read_text()), 9)
    assert str(tmp_path / "state") not in seen.read_text()
    assert "other" not in seen.read_text()


def test_a_hook_gets_nothing_to_read_on_stdin():
    shell("read line && exit 1 || exit 0")


def test_a_hook_makes_files_as_in_a_shell_of_root_although_vmsnap_makes_private_ones(tmp_path):
    mask = os.umask(0o077)
    try:
        shell(f"touch {tmp_path / 'made'}")
    finally:
        os.umask(mask)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644


def test_what_a_hook_writes_goes_to_the_log(caplog):
    with caplog.at_level(logging.INFO, "vmsnap"):
        shell("echo told; echo aside >&2")
    lines = [record.getMessage() for record in caplog.records]
    assert "hook: told" in lines
    assert "hook: aside" in lines
    assert any(line.startswith("running hook: /bin/sh -c ") for line in lines)


def test_a_failure_says_the_last_lines():
    with pytest.raises(HookError) as caught:
        shell("for n in 1 2 3 4 5; do echo line $n; done; exit 3")
    assert caught.value.message == ("hook '/bin/sh' ended with status 3: line 3 / line 4 / line 5")
    assert caught.value.exit_code == 17


def test_a_failure_in_silence_says_the_status():
    with pytest.raises(HookError, match=r"^hook '/bin/false' ended with status 1$"):
        run("/bin/false")


def test_a_hook_that_was_killed_says_the_signal():
    with pytest.raises(HookError, match="was ended by signal 9"):
        shell("kill -9 $$")


def test_bytes_that_are_no_text_are_escaped():
    with pytest.raises(HookError, match=r"\\xff\\xfe$"):
        shell(r"printf '\377\376'; exit 1")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nonexistent/hook",), "No such file or directory"),
        (("/etc/passwd",), "Permission denied"),
        (("/bin/echo", "a\0b"), "null byte"),
    ],
)
def test_a_hook_that_cannot_be_started_says_why(command, reason):
    with pytest.raises(HookError, match=f"cannot be started: .*{reason}"):
        run(*command)


def test_a_hook_is_killed_with_all_that_it_started_when_its_time_is_up(tmp_path):
    pid = tmp_path / "pid"
    begun = time.monotonic()
    with pytest.raises(
        HookError, match=r"did not end within 0\.3 seconds, and was killed: working"
    ):
        shell(f"echo working; sleep 60 & echo $! > {pid}; wait", timeout_seconds=0.3)
    assert time.monotonic() - begun < 20
    assert has_gone(pid)


def test_a_hook_that_ignores_signals_is_killed_all_the_same():
    with pytest.raises(HookError, match="was killed"):
        shell("trap '' TERM INT HUP; while :; do sleep 1; done", timeout_seconds=0.3)


def test_a_hook_that_closed_its_output_is_waited_for(tmp_path):
    done = tmp_path / "done"
    shell(f"exec >&- 2>&-; sleep 0.3; touch {done}")
    assert done.exists()


def test_what_a_hook_leaves_in_the_background_is_not_waited_for(tmp_path):
    pid = tmp_path / "pid"
    begun = time.monotonic()
    shell(f"sleep 60 & echo $! > {pid}", timeout_seconds=50)
    os.kill(int(pid.read_text()), 9)
    assert time.monotonic() - begun < 20


def test_only_the_end_of_endless_output_is_kept(caplog):
    with caplog.at_level(logging.INFO, "vmsnap"), pytest.raises(HookError):
        shell("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last; exit 1")
    logged = sum(len(record.getMessage()) for record in caplog.records)
    assert logged < KEPT_BYTES + 1000
    assert caplog.records[-1].getMessage() == "hook: last"


def test_a_cancelled_hook_is_killed(tmp_path):
    """Of several domains side by side, the main thread alone sees the signal."""
    pid = tmp_path / "pid"
    with pytest.raises(KeyboardInterrupt):
        shell(f"sleep 60 & echo $! > {pid}; wait", is_cancelled=pid.exists)
    assert has_gone(pid)


def test_an_exception_meanwhile_kills_the_hook(tmp_path):
    """A signal's exception comes out of any call."""
    pid = tmp_path / "pid"

    def interrupted():
        if pid.exists() and pid.read_text():
            raise SystemExit
        return False

    with pytest.raises(SystemExit):
        shell(f"sleep 60 & echo $! > {pid}; wait", is_cancelled=interrupted)
    assert has_gone(pid)
