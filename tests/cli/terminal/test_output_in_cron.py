"""The manner of cron: -q says nothing when all is fine, and one line when not; busy is 75."""

import threading
import time
from dataclasses import dataclass

import pytest
import typer.main

from vmsnap.cli.app import app
from vmsnap.host.locks import FileLocks

WEB = "vmsnap-test-web"
COPY = "vmsnap-test-copy"
COPY_UUID = "bbbbbbbb-0000-4000-8000-000000000001"
MONDAY = f"snapshot create {WEB} --name monday"


@dataclass(frozen=True)
class Case:
    """A changing verb: what is done before, a command that works, and one that is refused."""

    works: str
    fails: str
    before: tuple[str, ...] = ()
    is_gone: bool = False
    takes_no_lock: bool = False

    def __str__(self):
        return " ".join(word for word in self.works.split() if "-test-" not in word)


CASES = [
    Case(f"snapshot create {WEB}", "snapshot create nobody"),
    Case("snapshot create --all", f"snapshot create {WEB} --all"),
    Case(
        f"snapshot delete {WEB} monday/vda --yes",
        f"snapshot delete {WEB} monday/vdz --yes",
        before=(MONDAY, f"group ungroup {WEB} monday"),
    ),
    Case(f"group revert {WEB} monday", f"group revert {WEB} friday", before=(MONDAY,)),
    Case(f"group delete {WEB} monday --yes", f"group delete {WEB} x --yes", before=(MONDAY,)),
    Case(f"group ungroup {WEB} monday", f"group ungroup {WEB} friday", before=(MONDAY,)),
    Case(f"group pin {WEB} monday", f"group pin {WEB} friday", before=(MONDAY,)),
    Case(
        f"group unpin {WEB} monday",
        f"group unpin {WEB} friday",
        before=(MONDAY, f"group pin {WEB} monday"),
    ),
    Case(
        f"prune {WEB} --keep-last 1",
        "prune nobody --keep-last 1",
        before=(MONDAY, f"snapshot create {WEB} --name tuesday"),
    ),
    Case(f"backup create {WEB} --name kept", "backup create nobody"),
    Case(
        f"backup restore {WEB} kept",
        f"backup restore {WEB} nothing",
        before=(f"backup create {WEB} --name kept",),
    ),
    Case(
        f"backup delete {WEB} kept --yes",
        f"backup delete {WEB} nothing --yes",
        before=(f"backup create {WEB} --name kept",),
    ),
    Case(f"backup clone {COPY} {WEB}", f"backup clone {COPY} nobody"),
    Case(f"undo {WEB}", "undo nobody", before=(MONDAY, f"group revert {WEB} monday")),
    Case(f"purge {WEB} --yes", "purge nobody --yes", before=(MONDAY,), is_gone=True),
    Case("install-units --dir .", "install-units --dir /nonexistent", takes_no_lock=True),
    Case("recover", "recover --no-such-option", takes_no_lock=True),
    Case("doctor --fix", "doctor nobody --fix", takes_no_lock=True),
    Case("db upgrade", "db upgrade --no-such-option", before=(MONDAY,), takes_no_lock=True),
    Case("db rebuild", "db rebuild nobody", before=(MONDAY,), takes_no_lock=True),
    Case("db backup copy.db", "db backup /nonexistent/copy.db", (MONDAY,), takes_no_lock=True),
]
LOCKING = [case for case in CASES if not case.takes_no_lock]


@pytest.fixture
def run(vmsnap, host, tmp_path, monkeypatch):
    """Do what comes before a case, and run one of its commands quietly."""
    (tmp_path / "copy" / "swtpm").mkdir(parents=True)
    machine = next(iter(host.machines.values()))
    xml = machine.xml.replace(WEB, COPY).replace(next(iter(host.machines)), COPY_UUID)
    for name in ("nvram.fd", "vda.qcow2", "vdb.raw"):
        (tmp_path / "copy" / name).write_bytes((tmp_path / "host" / name).read_bytes())
        (tmp_path / "copy" / name).chmod(0o600)
        xml = xml.replace(f"{tmp_path}/host/{name}", f"{tmp_path}/copy/{name}")
    host.add(xml)
    monkeypatch.chdir(tmp_path)

    def prepare(case):
        for line in case.before:
            vmsnap(*line.split())
        if case.is_gone:
            host.undefine(next(iter(host.machines)))

    def call(line, *, status, options=()):
        return vmsnap("-q", *options, *line.split(), status=status)

    call.prepare = prepare
    return call


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_said_when_all_is_fine(run, case):
    run.prepare(case)
    done = run(case.works, status=0)
    assert (done.out, done.err) == ("", "")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_line_is_said_when_not(run, case):
    run.prepare(case)
    done = run(case.fails, status=None)
    assert done.status not in (0, 1)
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def locks(tmp_path):
    return FileLocks(tmp_path / "home" / ".local" / "state" / "vmsnap")


@pytest.mark.parametrize("case", LOCKING, ids=str)
def test_a_busy_domain_is_75_and_one_line(run, host, tmp_path, case):
    uuid = next(iter(host.machines))
    run.prepare(case)
    with locks(tmp_path).hold(uuid, "other", 0):
        done = run(case.works, status=3 if "--all" in case.works else 75)
    assert done.out == ""
    assert done.err.startswith(f"error: domain '{WEB}' is busy: 'other' (process ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("case", LOCKING, ids=str)
def test_a_domain_that_is_free_again_in_time_was_waited_for(run, host, tmp_path, case):
    uuid = next(iter(host.machines))
    run.prepare(case)
    held, free = threading.Event(), threading.Event()

    def hold():
        with locks(tmp_path).hold(uuid, "other", 0):
            held.set()
            free.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    begun = time.monotonic()
    done = run(case.works, status=0, options=("--wait", "60"))
    assert time.monotonic() - begun > 0.2
    free.set()
    thread.join()
    assert (done.out, done.err) == ("", "")


def test_all_domains_busy_is_75(run, host, tmp_path):
    uuids = list(host.machines)
    with locks(tmp_path).hold(uuids[0], "other", 0), locks(tmp_path).hold(uuids[1], "other", 0):
        done = run("snapshot create --all", status=75)
    assert done.err.count("error: ") == done.err.count("\n") == 2


def changing_verbs(command, words=()):
    """Name the verbs that have a dry run, which are those that change something."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from changing_verbs(inner, (*words, name))
    if any("--dry-run" in parameter.opts for parameter in command.params):
        yield " ".join(words)


def test_every_changing_verb_is_among_these():
    """Whoever adds one adds it here."""
    known = tuple(case.works for case in CASES)
    verbs = set(changing_verbs(typer.main.get_command(app)))
    assert "group delete" in verbs
    assert {verb for verb in verbs if not any(line.startswith(verb) for line in known)} == set()
