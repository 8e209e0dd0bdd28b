"""NVRAM and TPM state that others on the host can read."""

import pytest
from engine.patient import codes, mended, only

from vmsnap.engine.findings.finding import Severity


def bits(path):
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o702])
def test_tpm_readable_by_others_is_a_danger_and_mended(world, mode):
    """H39."""
    state = world.tpm / "tpm2-00.permall"
    state.chmod(0o644)
    assert codes(world) == []
    world.tpm.chmod(mode)
    found = only(world, "tpm_readable")
    assert found.kind.severity is Severity.DANGER
    assert found.message == f"tpm: '{world.tpm}' has the mode {mode:04o}"
    assert found.command == f"chmod -R o-rwx {world.tpm}"
    mended(world, found)
    assert codes(world) == []
    assert (bits(world.tpm), bits(state)) == (mode & ~0o007, 0o640)


def test_nvram_readable_by_others_is_mended(world):
    world.nvram.chmod(0o644)
    found = only(world, "nvram_readable")
    assert codes(world) == ["nvram_readable"]
    mended(world, found)
    assert bits(world.nvram) == 0o640


def test_what_is_not_there_yet_is_no_finding(world):
    world.nvram.unlink()
    assert codes(world) == []


def test_a_link_in_place_of_a_host_file_changes_nothing_elsewhere(world, tmp_path):
    """H22."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x")
    elsewhere.chmod(0o644)
    world.nvram.unlink()
    world.nvram.symlink_to(elsewhere)
    codes(world)
    assert bits(elsewhere) == 0o644
