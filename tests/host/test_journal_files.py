"""Journals are whole on the disk, or are not there."""

import errno
import os
import signal

import pytest

from vmsnap.errors import AccessError, HostFileError
from vmsnap.host.journal_files import FolderJournals
from vmsnap.model import DomainId

WEB = DomainId("11111111-1111-4111-8111-111111111111")
MAIL = DomainId("22222222-2222-4222-8222-222222222222")
HEADER = {"verb": "group revert"}


@pytest.fixture
def journals(tmp_path):
    return FolderJournals(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal" / f"{WEB}.jsonl"


def test_a_journal_gives_back_header_and_entries(journals):
    journals.start(WEB, {"verb": "group revert", "name": "名前\n\u2028"})
    journals.append(WEB, {"step": 1})
    journals.append(WEB, {"step": 2, "of": [None, True, {"a": 1.5}]})

    assert journals.load(WEB) == (
        {"verb": "group revert", "name": "名前\n\u2028"},
        {"step": 1},
        {"step": 2, "of": [None, True, {"a": 1.5}]},
    )


def test_reading_makes_no_folder(journals, tmp_path):
    assert journals.pending() == ()
    assert journals.load(WEB) == ()
    journals.remove(WEB)

    assert not (tmp_path / "journal").exists()


def test_pending_lists_the_domains_that_have_a_journal_sorted(journals, path):
    journals.start(MAIL, {})
    journals.start(WEB, {})
    path.with_suffix(".new").write_text("left by a crash")

    assert journals.pending() == (WEB, MAIL)


def test_a_journal_that_was_removed_is_gone(journals):
    journals.start(WEB, {})
    journals.remove(WEB)
    journals.remove(WEB)

    assert journals.pending() == ()
    assert journals.load(WEB) == ()


def test_a_second_journal_of_a_domain_is_refused(journals, tmp_path):
    journals.start(WEB, {"verb": "group revert"})

    with pytest.raises(HostFileError, match="File exists"):
        journals.start(WEB, {"verb": "group delete"})

    assert journals.load(WEB) == ({"verb": "group revert"},)
    assert [file.name for file in (tmp_path / "journal").iterdir()] == [f"{WEB}.jsonl"]


def test_journals_can_be_read_by_their_owner_alone(journals, path):
    journals.start(WEB, {})

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_an_interrupted_start_left_is_replaced(journals, path):
    path.parent.mkdir()
    path.with_suffix(".new").write_text("x" * 100)

    journals.start(WEB, {"verb": "group revert"})

    assert journals.load(WEB) == ({"verb": "group revert"},)


def test_a_kill_before_the_header_is_whole_leaves_nothing(journals, path, monkeypatch):
    journals.start(WEB, HEADER)
    journals.remove(WEB)
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        journals.start(WEB, HEADER)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert list(path.parent.iterdir()) == []


def test_a_file_system_without_nameless_files_will_do(journals, path, monkeypatch):
    real = os.open

    def without(name, flags, *rest, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(name, flags, *rest, **options)

    monkeypatch.setattr(os, "open", without)
    journals.start(WEB, HEADER)
    assert journals.load(WEB) == (HEADER,)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("torn", [b'{"step": 2', b"\0\0\0\0", b'{"step": 2}', b"\0\0}\n", b"[1]\n"])
def test_a_torn_last_entry_is_left_out_and_the_next_one_takes_its_place(journals, path, torn):
    journals.start(WEB, {"verb": "group revert"})
    journals.append(WEB, {"step": 1})
    with path.open("ab") as file:
        file.write(torn)

    assert journals.load(WEB) == ({"verb": "group revert"}, {"step": 1})
    journals.append(WEB, {"step": 3})
    assert journals.load(WEB) == ({"verb": "group revert"}, {"step": 1}, {"step": 3})


def test_a_journal_whose_header_was_never_whole_is_none(journals, path):
    path.parent.mkdir()
    path.write_bytes(b'{"verb": ')

    assert journals.load(WEB) == ()


@pytest.mark.parametrize("tail", [b'{"step": 2}\n', b'{"st'])
def test_a_journal_that_is_damaged_in_the_middle_is_not_half_used(journals, path, tail):
    """H44: an interrupted operation is neither taken for finished nor begun twice."""
    journals.start(WEB, {"verb": "group revert"})
    with path.open("ab") as file:
        file.write(b"garbage\n" + tail)

    with pytest.raises(HostFileError, match="damaged in line 2"):
        journals.load(WEB)
    with pytest.raises(HostFileError, match="damaged in line 2"):
        journals.append(WEB, {"step": 3})


def test_journals_that_may_not_be_looked_for_are_not_taken_for_none(journals, monkeypatch):
    def denied(_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(AccessError, match="cannot be read: Permission denied"):
        journals.pending()


def test_an_entry_without_a_journal_is_refused(journals):
    with pytest.raises(HostFileError, match="cannot write the journal"):
        journals.append(WEB, {"step": 1})


def test_an_entry_that_found_no_space_leaves_the_journal_as_it_was(small_disk):
    """H31: disk full."""
    journals = FolderJournals(small_disk)
    journals.start(WEB, {"verb": "group revert"})

    with pytest.raises(HostFileError, match="No space left on device"):
        journals.append(WEB, {"step": "x" * 200_000})

    assert journals.load(WEB) == ({"verb": "group revert"},)
    journals.append(WEB, {"step": 1})
    assert journals.load(WEB) == ({"verb": "group revert"}, {"step": 1})


def test_a_journal_that_finds_no_space_is_not_begun(small_disk):
    """H31: disk full."""
    journals = FolderJournals(small_disk)

    with pytest.raises(HostFileError, match="No space left on device"):
        journals.start(WEB, {"step": "x" * 200_000})

    assert journals.pending() == ()
    journals.start(WEB, {"verb": "group revert"})
