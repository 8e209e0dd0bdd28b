"""A text file is replaced as a whole, by one writer at a time, and never through a link."""

import fcntl
import os
import threading

import pytest

from vmsnap.errors import BusyError, HostFileError
from vmsnap.host import text_files
from vmsnap.host.text_files import replace_text


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "some.prom"


def test_a_new_file_can_be_read_by_all_whatever_the_umask(path):
    mask = os.umask(0o077)
    try:
        replace_text(path, lambda old: f"{old}new\n")
    finally:
        os.umask(mask)
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_present_text_is_given_to_who_makes_the_next(path):
    replace_text(path, lambda _old: "one\n")
    replace_text(path, lambda old: f"{old}two\n")
    assert path.read_text() == "one\ntwo\n"


def test_a_reader_that_has_it_open_sees_the_old_text_as_a_whole(path):
    replace_text(path, lambda _old: "old" * 1000)
    with path.open() as file:
        replace_text(path, lambda _old: "new")
        assert file.read() == "old" * 1000


def test_a_failure_leaves_the_old_text_and_no_draft(path):
    replace_text(path, lambda _old: "old")

    def failing(_old):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_text(path, failing)
    assert path.read_text() == "old"
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_draft_of_a_writer_that_was_killed_is_no_obstacle(path):
    (path.parent / f".{path.name}.new").write_text("half")
    replace_text(path, lambda _old: "new")
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(HostFileError, match="No such file or directory"):
        replace_text(tmp_path / "folder" / "some.prom", lambda _old: "new")
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_is_a_link_is_refused(tmp_path, path):
    """Who owns the way to it could lead root into any folder."""
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    with pytest.raises(HostFileError):
        replace_text(link / path.name, lambda _old: "new")
    assert not path.exists()


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path, path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    replace_text(path, lambda old: f"[{old}]")
    assert victim.read_text() == "precious"
    assert (path.is_symlink(), path.read_text()) == (False, "[]")


def test_a_link_in_the_drafts_place_is_not_followed(tmp_path, path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (path.parent / f".{path.name}.new").symlink_to(victim)
    replace_text(path, lambda _old: "new")
    assert (victim.read_text(), path.read_text()) == ("precious", "new")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 2000])
def test_what_cannot_be_read_counts_as_empty(path, monkeypatch, content):
    monkeypatch.setattr(text_files, "MAX_BYTES", 1000)
    path.write_bytes(content)
    replace_text(path, lambda old: f"[{old}]")
    assert path.read_text() == "[]"


def test_a_fifo_in_its_place_does_not_hang(path):
    os.mkfifo(path)
    replace_text(path, lambda old: f"[{old}]")
    assert path.read_text() == "[]"


# --- with a beginning, by which one's own file is known ----------------------------------------


@pytest.mark.parametrize("content", [None, "", "# own\n", "# own, older\n"])
def test_what_is_missing_empty_or_begins_so_is_replaced(path, content):
    if content is not None:
        path.write_text(content)
    replace_text(path, lambda _old: "# own, new\n", beginning="# own")
    assert path.read_text() == "# own, new\n"


@pytest.mark.parametrize("content", [b"# ow", b"# other\n", b" # own", b"\xff", b"\0" * 100])
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(path, content):
    path.write_bytes(content)
    path.chmod(0o640)
    before = path.stat()
    with pytest.raises(HostFileError, match="holds something else"):
        replace_text(path, lambda _old: "new", beginning="# own")
    assert (path.read_bytes(), path.stat()) == (content, before)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_link_is_refused_with_what_it_leads_to_even_to_ones_own_file(tmp_path, path):
    own = tmp_path / "own"
    own.write_text("# own\n")
    path.symlink_to(own)
    with pytest.raises(HostFileError, match=f"is a link to '{own}'"):
        replace_text(path, lambda _old: "new", beginning="# own")
    assert (path.is_symlink(), own.read_text()) == (True, "# own\n")


def test_a_fifo_is_refused_at_once_and_stays(path):
    os.mkfifo(path)
    with pytest.raises(HostFileError, match="is a FIFO, not a regular file"):
        replace_text(path, lambda _old: "new", beginning="# own")
    assert path.is_fifo()


@pytest.mark.parametrize("content", [None, "# own\n"])
def test_what_takes_the_place_meanwhile_stays(path, content):
    if content is not None:
        path.write_text(content)

    def make(_old):
        path.unlink(missing_ok=True)
        path.write_text("# own, it seems")
        return "new"

    with pytest.raises(HostFileError, match="another file was put in the place"):
        replace_text(path, make, beginning="# own")
    assert path.read_text() == "# own, it seems"
    assert [item.name for item in path.parent.iterdir()] == [path.name]


# --- several writers ------------------------------------------------------------------------------


def test_writers_wait_for_each_other_and_none_is_lost(path):
    def add():
        for _ in range(20):
            replace_text(path, lambda old: f"{old}x")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "x" * 80


def test_who_holds_the_folder_for_ever_only_makes_it_fail(path, monkeypatch):
    monkeypatch.setattr(text_files, "WAIT_SECONDS", 0.1)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            replace_text(path, lambda _old: "new")
    finally:
        os.close(folder)
    assert not path.exists()
