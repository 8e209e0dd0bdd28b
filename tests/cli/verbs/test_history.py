"""The verb history."""

import pwd

import pytest

from vmsnap.cli import wiring

NAME = "vmsnap-test-web"
KEYS = {
    "uuid", "verb", "subject", "user", "domain", "domain_uuid", "host_uuid", "started_at",
    "ended_at", "seconds", "outcome", "code", "is_recovered", "undo",
}  # fmt: skip


@pytest.fixture
def reverted(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    vmsnap("group", "revert", NAME, "monday")


def test_without_a_database_nothing_was_done_yet(vmsnap, host):
    run = vmsnap("history")
    assert (run.out, run.err) == ("", "nothing was done yet\n")
    assert vmsnap("history", "--json").data == {"history": [], "is_cut": False}


@pytest.mark.usefixtures("reverted")
def test_it_says_who_did_what_with_what_result_and_how_to_undo_it(vmsnap):
    run = vmsnap("history", NAME)
    titles, create, revert, undo = run.out.splitlines()
    assert titles.split() == ["STARTED", "DOMAIN", "VERB", "NAME", "USER", "TOOK", "RESULT"]
    me = pwd.getpwuid(0).pw_name
    assert all(word in create for word in (NAME, "snapshot create", "monday", me, "done"))
    assert all(word in revert for word in ("group revert", "monday", "done"))
    assert undo.startswith(f"vmsnap undo {NAME}  takes back: group revert monday, 20")


@pytest.mark.usefixtures("reverted")
def test_its_json_has_every_key(vmsnap):
    run = vmsnap("history", "--json")
    create, revert = run.data["history"]
    assert set(create) == set(revert) == KEYS
    assert (create["verb"], create["subject"], create["outcome"]) == (
        "snapshot create",
        "monday",
        "done",
    )
    assert create["seconds"] > 0
    assert (create["undo"], revert["undo"]) == (None, f"vmsnap undo {NAME}")
    assert (run.changed, run.data["is_cut"]) == (False, False)


@pytest.mark.usefixtures("reverted")
def test_a_limit_says_that_there_are_older_ones(vmsnap):
    run = vmsnap("history", "--limit", "1")
    assert "snapshot create" not in run.out
    assert run.err.splitlines() == [
        "these are the last 1; there are older ones",
        "hint: --limit 10",
    ]
    assert vmsnap("history", "--limit", "1", "--json").data["is_cut"]
    assert vmsnap("history", "--limit", "0", status=2).out == ""


@pytest.mark.usefixtures("reverted")
def test_a_domain_that_is_gone_keeps_its_history(vmsnap, host):
    (uuid,) = host.machines
    host.undefine(uuid)
    for words in ((NAME,), (uuid,), (uuid[:8],)):
        assert "group revert" in vmsnap("history", *words).out
    assert "undo" not in vmsnap("history", NAME).out
    assert vmsnap("history", "nobody", "--json", status=11).code == "domain_not_found"


def test_what_was_left_says_what_settles_it(vmsnap, host, monkeypatch):
    from vmsnap.errors import ImageError
    from vmsnap.host.images import QemuImages

    make = QemuImages.create_overlay

    def fail(*_arguments):
        raise ImageError("no")

    def make_and_fail(*arguments):
        make(*arguments)
        fail()

    with monkeypatch.context() as patch:
        patch.setattr(QemuImages, "create_overlay", make_and_fail)
        patch.setattr(QemuImages, "remove_overlay", fail)
        vmsnap("snapshot", "create", NAME, "--name", "monday", status=30)
    out = vmsnap("history").out
    assert "left: left_changed" in out
    assert out.endswith("vmsnap recover  settles what was left\n")
    vmsnap("recover")
    out = vmsnap("history").out
    assert "undone by recover" in out
    assert "settles" not in out


@pytest.mark.usefixtures("reverted")
def test_hosts_are_shown_when_others_are_asked_for(vmsnap):
    assert vmsnap("history", "--all-hosts").out.splitlines()[0].endswith("HOST")


@pytest.mark.usefixtures("reverted")
def test_a_terminal_of_80_columns_shows_who_did_what_when_and_the_result(vmsnap, terminal):
    with terminal("stdout") as screen:
        vmsnap("history", NAME)
    titles = screen.shown.splitlines()[0]
    assert all(title in titles for title in ("STARTED", "VERB", "NAME", "USER", "TOOK", "RESULT"))
    with terminal("stdout") as screen:
        vmsnap("history")
    titles = screen.shown.splitlines()[0]
    assert all(title in titles for title in ("STARTED", "DOMAIN", "VERB", "NAME", "RESULT"))


def test_with_sudo_it_is_the_one_before(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    assert wiring.who_asks() == "ada"
    monkeypatch.setenv("SUDO_USER", "\udcff")
    assert wiring.who_asks() == "?"
    monkeypatch.delenv("SUDO_USER")
    assert wiring.who_asks() == pwd.getpwuid(0).pw_name


def test_nobody_but_root_is_believed_to_have_come_by_sudo(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.setattr(wiring.os, "getuid", lambda: 4_000_000)
    assert wiring.who_asks() == "4000000"
