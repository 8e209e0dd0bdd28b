"""What the Catalog port promises of contents, on SQLite and on MariaDB alike."""

import random

import pytest

from vmsnap.errors import ContentError
from vmsnap.model import CatalogChange, Digest
from vmsnap.store.contents import CHUNK_BYTES

FOUR_MIB = 4 * 1024 * 1024


def noise(size: int) -> bytes:
    """Bytes that do not compress."""
    return random.Random(size).randbytes(size)  # noqa: S311 - no secret


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 540_672, 9 * 1024 * 1024 + 1])
def test_contents_of_every_size_come_back_whole(catalog, samples, rows, size):
    """H13: nothing is cut at 65,535 bytes, and no row outgrows what a server takes at once."""
    data = noise(size)
    catalog.reserve(samples.operation(), (), {samples.digest(data): data})
    assert catalog.content(samples.digest(data)) == data
    lengths = [row[0] for row in rows("SELECT LENGTH(data) FROM content_chunk")]
    assert max(lengths) <= CHUNK_BYTES <= FOUR_MIB


def test_equal_contents_are_stored_once_and_packed(catalog, samples, rows):
    data = b"\xff" * 540_672
    for name in ("monday", "tuesday"):
        samples.store_backup(catalog, name, data=data)
    assert rows("SELECT COUNT(*) FROM content") == [(1,)]
    ((stored,),) = rows("SELECT LENGTH(data) FROM content_chunk")
    assert stored < 10_000


def test_bytes_that_do_not_match_their_digest_are_not_taken(catalog, samples, rows):
    wrong = samples.digest(b"other")
    with pytest.raises(ContentError, match="do not match their digest"):
        catalog.reserve(samples.operation(), (), {wrong: b"nvram"})
    assert rows("SELECT * FROM content") == []


def test_a_content_that_was_never_stored_is_missing(catalog):
    with pytest.raises(ContentError, match="is missing"):
        catalog.content(Digest("0" * 64))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE content_chunk SET data = X'00'",
        "UPDATE content_chunk SET data = X'789C03000000000001'",
        "UPDATE content SET raw_size = raw_size - 1",
        "UPDATE content SET raw_size = raw_size + 1",
        "UPDATE content SET raw_size = -1",
        "UPDATE content SET codec = 'brotli'",
        "UPDATE content SET chunk_count = chunk_count + 1",
        "DELETE FROM content_chunk WHERE number = 1",
        "UPDATE content_chunk SET number = number + 5",
    ],
)
def test_damage_in_the_database_is_seen_and_mended_by_the_next_capture(
    catalog, samples, rows, damage
):
    """H17: stored bytes are never believed."""
    data = noise(3 * CHUNK_BYTES)
    digest = samples.digest(data)
    samples.store_backup(catalog, "monday", data=data)
    rows(damage)
    with pytest.raises(ContentError, match="is damaged"):
        catalog.content(digest)
    samples.store_backup(catalog, "tuesday", data=data)
    assert catalog.content(digest) == data


def test_a_bomb_is_not_unpacked(catalog, samples, rows):
    """H49: what unpacks to more than was promised is damage."""
    bomb = b"\0" * 50_000_000
    samples.store_backup(catalog, "bomb", data=bomb)
    rows("UPDATE content SET raw_size = 10")
    with pytest.raises(ContentError, match="is damaged"):
        catalog.content(samples.digest(bomb))


def test_another_content_in_its_place_is_seen(catalog, samples, rows):
    samples.store_backup(catalog, "monday", data=b"one")
    samples.store_backup(catalog, "tuesday", data=b"two")
    for digest, other in ((b"one", b"two"), (b"two", b"one")):
        rows(
            f"UPDATE content_chunk SET data = X'{packed(other).hex()}'"  # noqa: S608 - our own
            f" WHERE sha256 = '{samples.digest(digest)}'"
        )
    for data in (b"one", b"two"):
        with pytest.raises(ContentError, match="does not match its digest"):
            catalog.content(samples.digest(data))


def test_a_removed_content_can_be_stored_again(catalog, samples):
    backup = samples.store_backup(catalog, "monday", data=b"again")
    catalog.apply(CatalogChange(removed_resources=(backup.id,)))
    samples.store_backup(catalog, "monday", data=b"again")
    assert catalog.content(samples.digest(b"again")) == b"again"


def packed(data: bytes) -> bytes:
    import zlib

    return zlib.compress(data)
