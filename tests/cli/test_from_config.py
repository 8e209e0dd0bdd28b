"""What a create's command line leaves open comes from the domain's tables of config.toml."""

import os
from pathlib import Path

import pytest

NAME = "vmsnap-test-web"


@pytest.fixture
def settings(host):
    """Write the own config file."""
    path = Path(os.environ["HOME"], ".config/vmsnap/config.toml")
    path.parent.mkdir(parents=True)

    def write(text: str) -> Path:
        path.write_text(text)
        return path

    return write


def created(vmsnap, *words):
    return vmsnap("snapshot", "create", NAME, *words, "--json").data["groups"][0]


def targets(group):
    return [disk["target"] for disk in group["disks"]]


def test_disks_and_host_files_are_left_out_as_the_domain_s_table_says(vmsnap, settings):
    settings(
        '[defaults]\nexclude = ["vda"]\n[domain."*-web"]\nexclude = ["vdb"]\nwithout = ["tpm"]\n'
    )
    group = created(vmsnap)
    assert targets(group) == ["vda"]
    assert group["backup"] == {"nvram": "captured", "tpm": "skipped"}


@pytest.mark.parametrize("words", [(NAME[:-1] + "b",), ("--all",), (NAME, "nobody")])
def test_each_of_several_domains_has_its_own(vmsnap, settings, words):
    settings(f'[domain."{NAME}"]\nexclude = ["vdb"]\n')
    if words[0] not in (NAME, "--all"):
        words = ("aaaaaaaa-0000",)
    run = vmsnap("snapshot", "create", *words, "--json", status=None)
    assert [targets(group) for group in run.data["groups"]] == [["vda"]]


def test_what_is_typed_replaces_what_the_file_says(vmsnap, settings):
    settings('[defaults]\nexclude = ["vda"]\nwithout = ["tpm", "nvram"]\n')
    group = created(vmsnap, "--exclude", "vdb", "--without", "tpm")
    assert targets(group) == ["vda"]
    assert group["backup"] == {"nvram": "captured", "tpm": "skipped"}


def test_none_takes_back_what_the_file_says(vmsnap, settings, tmp_path):
    settings(
        '[defaults]\nexclude = ["vda"]\nwithout = ["tpm"]\nquiesce = "require"\n'
        f'overlay_dir = "{tmp_path}/nowhere"\n'
    )
    words = ("--exclude", "none", "--without", "none", "--no-quiesce", "--overlay-dir", "none")
    group = created(vmsnap, *words)
    assert targets(group) == ["vda", "vdb"]
    assert group["backup"]["tpm"] == "captured"


def test_a_disk_that_the_domain_does_not_have_is_refused_only_where_it_is_typed(vmsnap, settings):
    settings('[defaults]\nexclude = ["vdz", "vdb"]\n')
    assert targets(created(vmsnap)) == ["vda"]
    run = vmsnap("snapshot", "create", NAME, "--exclude", "vdz", status=2)
    assert "has no disk 'vdz'" in run.err


def test_overlays_go_where_the_file_says(vmsnap, settings, tmp_path):
    folder = tmp_path / "overlays"
    folder.mkdir(mode=0o700)
    settings(f'[defaults]\noverlay_dir = "{folder}"\n')
    created(vmsnap)
    assert len(list(folder.glob("vd*.qcow2"))) == 2


@pytest.mark.parametrize(
    ("word", "words", "status"),
    [
        ("require", (), 14),
        ("try", (), 0),
        ("require", ("--try-quiesce",), 0),
        ("require", ("--no-quiesce",), 0),
        ("no", ("--quiesce",), 14),
    ],
)
def test_file_systems_are_frozen_as_the_file_or_the_command_line_says(
    vmsnap, settings, host, word, words, status
):
    """The domain runs, and has no guest agent that could freeze anything."""
    settings(f'[defaults]\nquiesce = "{word}"\n')
    host.start(next(iter(host.machines)))
    run = vmsnap("snapshot", "create", NAME, *words, "--dry-run", status=status)
    freezes = status or word == "try" or "--try-quiesce" in words
    assert ("guest agent" in run.out + run.err) == bool(freezes)


def test_a_dry_run_notes_what_came_from_which_table(vmsnap, settings):
    path = settings('[defaults]\nexclude = ["vdb"]\n[domain."*"]\nwithout = ["tpm"]\n')
    run = vmsnap("snapshot", "create", NAME, "--dry-run", "--quiesce")
    assert "  vdb: left out: excluded by name" in run.out.splitlines()
    assert f"note: exclude vdb, from file {path} [defaults]" in run.out.splitlines()
    assert f'note: without tpm, from file {path} [domain."*"]' in run.out.splitlines()
    assert "quiesce no" not in run.out
    assert "from file" not in vmsnap("snapshot", "create", NAME).out
    without = vmsnap("snapshot", "create", NAME, "--dry-run", "--exclude", "vda").out
    assert "note: exclude" not in without


def test_the_log_says_what_came_from_which_table(vmsnap, settings, log_file):
    path = settings('[defaults]\nexclude = ["vdb"]\n')
    vmsnap("snapshot", "create", NAME)
    assert f"{NAME}: exclude vdb, from file {path} [defaults]" in log_file.read_text()


def test_a_backup_leaves_out_what_the_file_says_unless_another_is_typed(vmsnap, settings):
    settings('[defaults]\nwithout = ["tpm"]\nexclude = ["vda"]\n')
    rows = vmsnap("backup", "create", NAME, "--json").data["backups"]
    assert {row["type"]: row["capture"] for row in rows} == {"nvram": "captured", "tpm": "skipped"}
    rows = vmsnap("backup", "create", NAME, "--without", "none", "--json").data["backups"]
    assert {row["capture"] for row in rows} == {"captured"}
    run = vmsnap("backup", "create", NAME, "--dry-run")
    assert "note: without tpm" in run.out
    assert "note: exclude" not in run.out


@pytest.mark.parametrize(
    "words",
    [
        ("--exclude", "none", "--exclude", "vda"),
        ("--without", "none", "--without", "tpm"),
        ("--no-quiesce", "--quiesce"),
        ("--no-quiesce", "--try-quiesce"),
    ],
)
def test_none_stands_alone(vmsnap, host, words):
    assert words[0] in vmsnap("snapshot", "create", NAME, *words, status=2).err


def test_an_unknown_domain_is_refused_as_ever(vmsnap, settings):
    settings('[defaults]\nexclude = ["vdb"]\n')
    assert "no domain 'nobody'" in vmsnap("snapshot", "create", "nobody", status=11).err
