"""The verb group diff."""

import pytest

NAME = "vmsnap-test-web"


@pytest.fixture
def edited(vmsnap, host, nvram):
    """A domain that changed since its group: its memory, NVRAM and password."""
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    nvram.write_bytes(b"friday" * 100)
    (machine,) = host.machines.values()
    machine.xml = machine.xml.replace(">262144<", ">524288<").replace('"hush"', '"other"')


@pytest.mark.usefixtures("edited")
def test_it_says_part_by_part_what_a_revert_would_change(vmsnap):
    run = vmsnap("group", "diff", NAME, "monday")
    lines = run.out.splitlines()
    assert lines[0].startswith(f"group 'monday' of domain '{NAME}', 20")
    assert lines[0].endswith("(just now)")
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["vda", "written"],
        ["vdb", "written"],
        ["NVRAM", "differs"],
        ["TPM", "the"],
    ]
    assert lines[6] == "definition:"
    assert '  -  <memory unit="KiB">524288</memory>' in lines
    assert '  +  <memory unit="KiB">262144</memory>' in lines


@pytest.mark.usefixtures("edited")
def test_no_password_is_shown_neither_as_text_nor_as_json(vmsnap):
    for more in ((), ("--json",)):
        out = vmsnap("group", "diff", NAME, "monday", *more).out
        assert "hush" not in out
        assert '"other' not in out.replace("\\", "")


@pytest.mark.usefixtures("edited")
def test_its_json_has_every_key(vmsnap):
    run = vmsnap("group", "diff", NAME, "monday", "--json")
    found = run.data["diff"]
    assert set(found) == {
        "domain", "group", "group_uuid", "created_at", "age_seconds", "disks", "host_files",
        "definition", "reasons",
    }  # fmt: skip
    assert set(found["disks"][0]) == {"target", "state", "path", "frozen_path", "lost_bytes"}
    assert [(file["type"], file["state"]) for file in found["host_files"]] == [
        ("nvram", "differs"),
        ("tpm", "same"),
    ]
    assert (found["domain"], found["group"], found["reasons"]) == (NAME, "monday", [])
    assert run.changed is False


@pytest.mark.usefixtures("edited")
def test_a_running_domain_is_no_failure(vmsnap, host):
    (uuid,) = host.machines
    host.start(uuid)
    assert "no revert now: the domain is running" in vmsnap("group", "diff", NAME, "monday").out


def test_an_equal_definition_is_said(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    assert "definition: the same" in vmsnap("group", "diff", NAME, "monday").out
    assert vmsnap("group", "diff", NAME, "friday", "--json", status=12).code == "group_not_found"


@pytest.mark.usefixtures("edited")
def test_the_dry_run_of_a_revert_tells_it_too(vmsnap):
    out = vmsnap("group", "revert", NAME, "monday", "--dry-run").out
    assert "nvram: differs" in out
    assert '<memory unit="KiB">262144</memory>' in out
    assert "hush" not in out
