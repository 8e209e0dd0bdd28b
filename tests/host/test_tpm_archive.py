"""The archive of a TPM directory is canonical, and nothing else is taken for one."""

import hashlib
import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsnap.errors import ContentError
from vmsnap.host.tpm_archive import MAX_FILES, MAX_TOTAL_BYTES, ArchivedFile, pack, unpack
from vmsnap.model import FileMeta

META = FileMeta(uid=108, gid=115, mode=0o600)
EXPECTED_DIGEST = "9c54463c717bb267b7424843dac98b2c1f401f326d75392cfd6fa59d253277ee"
STATE = ArchivedFile("tpm2-00.permall", b"state" * 300, META)


def tar_of(*members):
    """Make a tar with Python's own writer: (name, data, changes to the header)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o600
            for key, value in changes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return buffer.getvalue()


def with_kind(archive, kind):
    """Make the first member another kind of thing, with the right checksum."""
    header = archive[:148] + b" " * 8 + kind + archive[157:512]
    return header[:148] + b"%06o\0 " % sum(header) + header[156:] + archive[512:]


def test_any_tar_reads_the_archive():
    meta = FileMeta(uid=108, gid=115, mode=0o640, xattrs=(("user.note", b"a\nb=c\0".hex()),))
    archive = pack([STATE, ArchivedFile("empty", b"", meta)])

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == ["empty", "tpm2-00.permall"]
        assert tar.extractfile("tpm2-00.permall").read() == STATE.data
    empty, state = members
    assert (state.uid, state.gid, state.mode, state.mtime) == (108, 115, 0o600, 0)
    assert (state.uname, state.gname) == ("", "")
    assert empty.pax_headers == {"SCHILY.xattr.user.note": "a\nb=c\0"}


def test_the_archives_bytes_never_change():
    """The digest of an archive is kept for years: a new release must write the same bytes."""
    xattrs = (("security.selinux", b"system_u:object_r:svirt_image_t:s0\0".hex()),)
    meta = FileMeta(uid=3_000_000, gid=115, mode=0o640, xattrs=xattrs)
    archive = pack([STATE, ArchivedFile("tpm2-00.permall.bak", b"older", meta)])

    assert hashlib.sha256(archive).hexdigest() == EXPECTED_DIGEST


def test_the_order_of_the_files_does_not_matter():
    other = ArchivedFile("a", b"", META)

    assert pack([STATE, other]) == pack([other, STATE])


metas = st.builds(
    FileMeta,
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mode=st.integers(0, 0o777),
    xattrs=st.dictionaries(
        st.from_regex(r"user\.[a-z]{1,9}", fullmatch=True), st.binary(max_size=99), max_size=3
    ).map(lambda xattrs: tuple(sorted((name, value.hex()) for name, value in xattrs.items()))),
)
names = st.binary(min_size=1, max_size=100).filter(
    lambda name: name not in {b".", b".."} and not {0, ord("/")} & set(name)
)
files = st.builds(ArchivedFile, names.map(os.fsdecode), st.binary(max_size=1500), metas)


@given(st.lists(files, max_size=5, unique_by=lambda file: file.name))
def test_what_was_packed_comes_out_again(given_files):
    expected = sorted(given_files, key=lambda file: os.fsencode(file.name))

    assert list(unpack(pack(given_files))) == expected


@given(st.integers(0, 3071), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_another_archive(at, change):
    """H49: a damaged archive."""
    archive = bytearray(pack([STATE]))
    archive[at % len(archive)] ^= change

    try:
        changed = unpack(bytes(archive))
    except ContentError:
        return
    assert pack(changed) == bytes(archive) != pack([STATE])


HOSTILE = {
    "absolute name": tar_of(("/etc/passwd", b"x", {})),
    "parent": tar_of(("../passwd", b"x", {})),
    "dots": tar_of(("..", b"x", {})),
    "folder inside": tar_of(("a/b", b"x", {})),
    "symbolic link": tar_of(("a", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})),
    "hard link": tar_of(("a", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})),
    "device": tar_of(("a", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})),
    "FIFO": tar_of(("a", b"", {"type": tarfile.FIFOTYPE})),
    "directory": tar_of(("a", b"", {"type": tarfile.DIRTYPE})),
    "twice": tar_of(("a", b"x", {}), ("a", b"y", {})),
    "set-user-id": tar_of(("a", b"x", {"mode": 0o4755})),
    "two entries out of order": tar_of(("b", b"x", {}), ("a", b"y", {})),
    "many files": tar_of(*((f"{number:03}", b"", {}) for number in range(MAX_FILES + 1))),
    "huge": tar_of(("a", bytes(MAX_TOTAL_BYTES + 1), {})),
    "larger than it is": pack([STATE])[:-2048],
    "negative size": pack([STATE]).replace(b"00000002734", b"-0000001000"),
    "nothing": b"",
    "rubbish": b"rubbish" * 1000,
    "compressed": b"\x1f\x8b" + bytes(600),
    "something behind": pack([STATE]) + b"x" * 512,
    "attributes of no file": with_kind(pack([STATE]), b"x"),
    "attributes that never end": with_kind(tar_of(("a", b"0 a=b\n", {})), b"x"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(kind):
    """H49: absolute names, `..`, links, devices, two entries of a name, a bomb."""
    with pytest.raises(ContentError):
        unpack(HOSTILE[kind])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 101])
def test_a_name_that_could_leave_the_directory_is_not_packed(name):
    with pytest.raises(ContentError):
        pack([ArchivedFile(name, b"", META)])
