"""Outside programs end with an answer, or are killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from vmsnap.errors import ImageError, LeftChangedError, ProgramMissingError
from vmsnap.host import processes


def run(*argv, **options):
    return processes.run(
        argv,
        **{"task": "do it", "error_class": ImageError, "timeout_seconds": 30.0, **options},
    )


def shell(script, **options):
    return run("/bin/sh", "-c", script, **options)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_run_returns_what_the_program_wrote_to_stdout():
    assert shell("echo told; echo aside >&2") == b"told\n"


def test_run_speaks_english_whatever_the_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    assert shell("echo $LC_ALL") == b"C\n"


def test_run_tells_the_last_line_that_a_failing_program_complained_of():
    with pytest.raises(ImageError) as caught:
        shell("echo first >&2; echo 'the disk is gone' >&2; echo >&2; exit 3")

    assert caught.value.message == "cannot do it: the disk is gone"


def test_run_tells_the_status_of_a_program_that_failed_in_silence():
    with pytest.raises(ImageError, match="failed with status 3"):
        shell("exit 3")


def test_run_tells_the_signal_that_ended_a_program():
    with pytest.raises(ImageError, match="ended by signal 9"):
        shell("kill -9 $$")


def test_run_names_the_package_of_a_program_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramMissingError) as caught:
        run("qemu-img", "--version")

    assert caught.value.message == "the program 'qemu-img' is not installed"
    assert caught.value.hint == "apt install qemu-utils"


def test_run_tells_that_a_program_cannot_be_started(tmp_path):
    with pytest.raises(ImageError, match="cannot be started"):
        run(str(tmp_path))


def test_a_program_that_takes_too_long_is_killed_with_what_it_started(tmp_path):
    """H4: every wait has a limit."""
    pids = tmp_path / "pids"

    with pytest.raises(ImageError, match="did not end within 1 seconds"):
        shell(f"sleep 60 & echo $$ $! > {pids}; wait", timeout_seconds=1)

    parent, _ = map(int, pids.read_text().split())
    assert not is_alive(parent)


def test_a_writer_that_cannot_be_killed_is_not_worked_beside(tmp_path, monkeypatch):
    """H56: one that hangs in the kernel may go on later; readers harm nobody."""
    monkeypatch.setattr(processes, "REAP_SECONDS", 0.05)
    monkeypatch.setattr(processes.os, "killpg", lambda _pid, _signal: None)
    pid = tmp_path / "pid"
    script = f"echo $$ > {pid}; exec sleep 60"
    with (tmp_path / "lock").open("w") as lock:
        for fds, error in (((lock.fileno(),), LeftChangedError), ((), ImageError)):
            with pytest.raises(error) as caught:
                shell(script, timeout_seconds=0.5, pass_fds=fds)
            os.kill(int(pid.read_text()), signal.SIGKILL)
            assert caught.value.hint
    assert "may still write" not in caught.value.message


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        ("echo 'x: No space left on device' >&2; exit 1", "df -h"),
        ("echo 'x: Read-only file system' >&2; exit 1", "findmnt -O ro"),
        ("echo 'x: Input/output error' >&2; exit 1", "journalctl -k -p err"),
        ("kill -9 $$", "journalctl -k -p err"),
        ("exit 1", None),
    ],
)
def test_run_hints_at_what_is_wrong_with_the_disk_or_the_memory(script, hint):
    """H31."""
    with pytest.raises(ImageError) as caught:
        shell(script)
    assert caught.value.hint == hint


def test_ctrl_c_kills_and_reaps_the_program(tmp_path, python, wait_until):
    pid_file = tmp_path / "pid"
    parent = python(
        "import sys\n"
        "from vmsnap.errors import ImageError\n"
        "from vmsnap.host.processes import run\n"
        "pid_file = sys.argv[1]\n"
        "script = f'echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60'\n"
        "run(['/bin/sh', '-c', script], task='', error_class=ImageError, timeout_seconds=60)",
        pid_file,
    )
    wait_until(pid_file.exists)
    child = int(pid_file.read_text())

    assert os.getpgid(child) != os.getpgid(parent.pid), "a terminal's Ctrl-C would reach it"
    parent.send_signal(signal.SIGINT)
    parent.wait(20)

    assert not is_alive(child)


def test_a_program_inherits_the_descriptors_that_it_is_given_and_no_others(tmp_path):
    given = os.open(tmp_path, os.O_RDONLY)
    kept = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(kept, True)
    program = "import os; print(*sorted(map(int, os.listdir('/proc/self/fd'))))"
    try:
        output = run(sys.executable, "-c", program, pass_fds=(given,))
    finally:
        os.close(given)
        os.close(kept)

    inherited = set(map(int, output.split()))
    assert given in inherited
    assert kept not in inherited - {given}


def test_a_signal_while_a_program_starts_leaves_it_not_running(monkeypatch):
    """A program that writes, and that nobody knows of, would go on behind the settlement."""
    started = []

    class Signalled(subprocess.Popen):
        """Starts a program; the signal comes before the caller has it in hand."""

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Signalled)
    with pytest.raises(KeyboardInterrupt):
        shell("sleep 60")
    assert not is_alive(started[0])


def test_a_listener_is_told_what_was_written_while_the_program_runs(tmp_path):
    heard = []
    go_on = tmp_path / "go on"

    def listen(output):
        heard.append(output)
        if output:
            go_on.touch()

    script = f"echo one; until [ -e '{go_on}' ]; do sleep 0.05; done; echo two"
    assert shell(script, listener=listen) == b"one\ntwo\n"
    assert heard[-1] == b"one\n"


def test_a_program_that_is_listened_to_has_its_time_limit_too():
    with pytest.raises(ImageError, match="did not end within 1 seconds"):
        shell("sleep 60", listener=lambda _: None, timeout_seconds=0.6)


def test_what_a_listener_raises_ends_the_program(tmp_path):
    """A Ctrl-C comes in while progress is shown."""

    def interrupt(output):
        if output:
            (tmp_path / "pid").write_bytes(output.strip())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shell("echo $$; exec sleep 60", listener=interrupt)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def side_by_side(*scripts, timeout_seconds=30.0):
    return processes.read_side_by_side(
        [(("/bin/sh", "-c", script), f"do {number}") for number, script in enumerate(scripts)],
        error_class=ImageError,
        timeout_seconds=timeout_seconds,
    )


def test_programs_side_by_side_run_at_the_same_time(tmp_path):
    """Each waits for what only the other can tell it."""
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        os.mkfifo(path)

    found = side_by_side(f"echo 1 >{one}; cat {other}", f"cat {one}; echo 2 >{other}")

    assert found == (b"2\n", b"1\n")


def test_programs_side_by_side_may_write_more_than_a_pipe_holds():
    many = "head -c 300000 /dev/zero"

    assert [len(output) for output in side_by_side(many, many, many)] == [300000] * 3


def test_a_program_that_fails_beside_others_is_told_in_its_place():
    first, second, third = side_by_side("echo fine", "echo no >&2; exit 1", "echo too")

    assert (first, third) == (b"fine\n", b"too\n")
    assert second.message == "cannot do 1: no"


def is_running(word):
    """Tell whether a process was called with a word."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if word in path.read_text(errors="replace"):
                return True
    return False


def test_programs_side_by_side_do_not_outlive_one_that_cannot_be_started(tmp_path):
    waiting = ["/bin/sh", "-c", f"sleep 60; : {tmp_path}"]
    programs = [(waiting, "wait"), ([str(tmp_path.with_name("nothing"))], "do it")]

    with pytest.raises(ProgramMissingError):
        processes.read_side_by_side(programs, error_class=ImageError, timeout_seconds=30.0)

    assert not is_running(str(tmp_path))


def test_programs_side_by_side_do_not_outlive_their_time(tmp_path):
    with pytest.raises(ImageError, match="cannot do 1: it did not end within 0 seconds"):
        side_by_side("true", f"sleep 60; : {tmp_path}", timeout_seconds=0.3)

    assert not is_running(str(tmp_path))
