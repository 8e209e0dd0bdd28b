"""The id of a host must be the same after every boot: groups carry it."""

from pathlib import Path

import pytest

from vmsnap.errors import LibvirtError
from vmsnap.host.host_identity import stable_host_id

REPORTED = "6f647c76-118e-447a-abee-5d7420cc8d0c"
MACHINE_ID = "3d1219c7c4c5404aaa1f6d2a48adfda4"


@pytest.fixture
def machine_id(tmp_path: Path) -> Path:
    path = tmp_path / "machine-id"
    path.write_text(f"{MACHINE_ID}\n")
    return path


def test_libvirts_uuid_is_taken_where_the_mainboard_has_one(tmp_path, machine_id):
    board = tmp_path / "product_uuid"
    board.write_text(f"{REPORTED}\n")
    assert stable_host_id(REPORTED, board, machine_id) == REPORTED


@pytest.mark.parametrize("content", [None, "ffffffff-ffff-ffff-ffff-ffffffffffff\n", ""])
def test_the_machine_id_is_taken_where_libvirt_makes_one_up(tmp_path, machine_id, content):
    board = tmp_path / "product_uuid"
    if content is not None:
        board.write_text(content)
    expected = "3d1219c7-c4c5-404a-aa1f-6d2a48adfda4"
    assert stable_host_id(REPORTED, board, machine_id) == expected
    assert stable_host_id(None, board, machine_id) == expected


@pytest.mark.parametrize(
    ("line", "is_taken"),
    [
        (f'host_uuid = "{REPORTED}"', True),
        (f"\n  host_uuid='{REPORTED.upper()}' # ours", True),
        (f'#host_uuid = "{REPORTED}"', False),
        ('host_uuid = "00000000-0000-0000-0000-00000000000a"', False),
        ('host_uuid_source = "machine-id"', False),
    ],
)
def test_a_uuid_of_libvirts_settings_tells_hosts_with_one_machine_id_apart(
    tmp_path, machine_id, line, is_taken
):
    """H61: hosts that were copied from one image share their machine id."""
    settings = tmp_path / "libvirtd.conf"
    settings.write_text(f"max_clients = 5\n{line}\n")
    found = stable_host_id(
        REPORTED, tmp_path / "none", machine_id, (tmp_path / "no.conf", settings)
    )
    assert (found == REPORTED) is is_taken


def test_libvirts_uuid_is_better_than_none(tmp_path):
    assert stable_host_id(REPORTED, tmp_path / "none", tmp_path / "neither") == REPORTED


def test_a_host_without_any_id_is_refused(tmp_path):
    with pytest.raises(LibvirtError, match="machine id"):
        stable_host_id(None, tmp_path / "none", tmp_path / "neither")
