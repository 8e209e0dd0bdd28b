"""Identity files as files: whole, private, and believed only where nobody else had a hand."""

import os

import pytest

from vmsnap.errors import HostFileError
from vmsnap.host import identity_files
from vmsnap.host.identity_files import HiddenIdentityFiles
from vmsnap.model import DomainId

ID = DomainId("aaaaaaaa-0000-4000-8000-000000000001")
NAME = f".{ID}.vmsnap.json"
files = HiddenIdentityFiles()


def test_what_was_written_is_read_and_listed(tmp_path):
    files.write(tmp_path, ID, {"a": "ü"})
    files.write(tmp_path, ID, {"a": "b"})
    (tmp_path / ".other.vmsnap.json").touch()
    assert files.read(tmp_path, ID) == {"a": "b"}
    assert files.domains(tmp_path) == (ID,)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, ".other.vmsnap.json"]
    assert (tmp_path / NAME).stat().st_mode & 0o7777 == 0o600


def test_nothing_is_there_to_read_list_or_remove(tmp_path):
    missing = tmp_path / "missing"
    for folder in (tmp_path, missing):
        assert files.read(folder, ID) is None
        assert files.domains(folder) == ()
        files.remove(folder, ID)
    with pytest.raises(HostFileError, match="cannot write"):
        files.write(missing, ID, {})


def test_what_a_killed_write_left_is_replaced_and_removed(tmp_path):
    (tmp_path / f"{NAME}.new").write_text("{")
    files.write(tmp_path, ID, {})
    (tmp_path / f"{NAME}.new").write_text("{")
    files.remove(tmp_path, ID)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_an_error(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(HostFileError):
        files.read(tmp_path, ID)


def test_a_file_of_somebody_else_or_that_others_may_write_is_not_believed(tmp_path):
    files.write(tmp_path, ID, {})
    for uid, mode in ((64055, 0o600), (0, 0o620), (0, 0o602)):
        os.chown(tmp_path / NAME, uid, 0)
        (tmp_path / NAME).chmod(mode)
        with pytest.raises(HostFileError, match="is not believed"):
            files.read(tmp_path, ID)


def test_links_pipes_and_second_names_are_not_read(tmp_path):
    """H22."""
    (tmp_path / "real").write_text("{}")
    (tmp_path / NAME).symlink_to(tmp_path / "real")
    with pytest.raises(HostFileError):
        files.read(tmp_path, ID)
    (tmp_path / NAME).unlink()
    os.link(tmp_path / "real", tmp_path / NAME)
    with pytest.raises(HostFileError):
        files.read(tmp_path, ID)
    (tmp_path / NAME).unlink()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(HostFileError):
        files.read(tmp_path, ID)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    """H22."""
    monkeypatch.setattr(identity_files, "MAX_BYTES", 1000)
    (tmp_path / NAME).write_text(" " * 1001)
    with pytest.raises(HostFileError, match="larger"):
        files.read(tmp_path, ID)


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    for name in (NAME, f"{NAME}.new"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    files.write(tmp_path, ID, {"a": 1})
    assert (tmp_path / "precious").read_text() == "mine"
    assert files.read(tmp_path, ID) == {"a": 1}
