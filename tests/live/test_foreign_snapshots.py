"""What other programs keep at a domain: virsh's snapshots, checkpoints, jobs, and metadata."""

import re
import subprocess

import pytest
from livebed.machine import virsh

pytestmark = pytest.mark.live

METADATA = """<metadata>
    <x:note   xmlns:x="urn:x" a = '1'><![CDATA[a < b & c]]><!-- kept --><x:empty/>&#13;  two  blanks
<y:z xmlns:y='urn:y' y:attr="&lt;&quot;"/></x:note>
    <app:machine xmlns:app="http://example.org/app/1.0">
      <app:groups><group>web</group></app:groups>

      <plain xmlns="urn:default">text</plain></app:machine>
  </metadata>"""


@pytest.fixture
def web(machine):
    """A small machine, off, without firmware files."""
    return machine(firmware="bios", tpm=None, disks=("qcow2",))


def error_of(answer):
    return answer.document["errors"][0]


def obey(answer):
    """Run the hint of a refusal as an administrator would paste it."""
    hint = error_of(answer)["hint"]
    subprocess.run(["bash", "-c", hint], check=True, capture_output=True, timeout=60)


def write(path, value):
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -q -P {value} 0 64k", str(path)]
    subprocess.run(command, check=True, timeout=30)


def reads(path, value):
    command = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {value} 0 64k", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return "failed" not in done.stdout


def shown(vmsnap, web):
    return vmsnap("vm", "show", web.name).data["domain"]


def test_an_internal_snapshot_of_virsh_outlives_a_group(web, vmsnap):
    """H40: a commit into its image leaves it as it is."""
    original = web.original("vda")
    write(original, 1)
    virsh("snapshot-create-as", web.id, "int 1")
    assert shown(vmsnap, web)["foreign_snapshots"] == [
        {"name": "int 1", "is_external": False, "kept_paths": [str(original)], "made_paths": []}
    ]
    created = vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert any("internal snapshot 'int 1' stays" in note for note in created.data["notes"])
    write(web.disks["vda"], 2)
    vmsnap("group", "delete", web.name, "monday", "--yes")
    assert web.disks["vda"] == original
    assert reads(original, 2)
    virsh("snapshot-revert", web.id, "int 1")
    assert reads(original, 1)


def test_an_internal_snapshot_in_a_layer_refuses_its_end_by_name(web, vmsnap):
    """H41."""
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    virsh("snapshot-create-as", web.id, "int1")
    definition = web.definition()
    refused = vmsnap("group", "delete", web.name, "monday", "--yes", status=14)
    assert "libvirt's internal snapshot 'int1'" in error_of(refused)["message"]
    assert web.definition() == definition
    obey(refused)
    vmsnap("group", "delete", web.name, "monday", "--yes")


def test_an_external_snapshot_of_virsh_goes_on_as_before_when_the_group_on_it_ends(web, vmsnap):
    original = web.original("vda")
    write(original, 1)
    virsh("snapshot-create-as", web.id, "ext1", "--disk-only")
    made = web.disks["vda"]
    (snapshot,) = shown(vmsnap, web)["foreign_snapshots"]
    assert (snapshot["kept_paths"], snapshot["made_paths"]) == ([str(original)], [str(made)])
    created = vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert any("external snapshot 'ext1' stays" in note for note in created.data["notes"])
    write(web.disks["vda"], 2)
    vmsnap("group", "delete", web.name, "monday", "--yes")
    assert web.disks["vda"] == made
    assert reads(original, 1)
    virsh("snapshot-delete", web.id, "ext1")
    assert web.disks["vda"] == original
    assert reads(original, 2)


def test_a_layer_that_an_external_snapshot_froze_is_not_merged(web, vmsnap):
    """H40, H41: but a revert goes on, and says that the snapshot stays."""
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    virsh("snapshot-create-as", web.id, "ext1", "--disk-only")
    vmsnap("snapshot", "create", web.name, "--name", "tuesday")
    before = sorted(web.folder.iterdir())
    refused = vmsnap("group", "delete", web.name, "monday", "--yes", status=14)
    assert "libvirt's external snapshot 'ext1'" in error_of(refused)["message"]
    assert sorted(web.folder.iterdir()) == before
    reverted = vmsnap("group", "revert", web.name, "monday")
    assert any("external snapshot 'ext1' stays" in note for note in reverted.data["notes"])
    web.start("--paused")
    web.destroy()


@pytest.fixture
def backup_xml(web, tmp_path):
    """What asks libvirt for a backup of what changed since the checkpoint check1."""
    path = tmp_path / "backup.xml"
    socket = f"/var/lib/libvirt/qemu/{web.id}.nbd"
    path.write_text(
        "<domainbackup mode='pull'><incremental>check1</incremental>"
        f"<server transport='unix' socket='{socket}'/><disks><disk name='vda' type='file'>"
        f"<scratch file='{web.folder}/scratch'/></disk></disks></domainbackup>"
    )
    return str(path)


def test_checkpoints_of_a_running_machine_live_through_groups(web, vmsnap, backup_xml):
    """libvirt takes their bitmaps from layer to layer, so a backup since then can be made."""
    web.start("--paused")
    virsh("checkpoint-create-as", web.id, "check1")
    created = vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert any("checkpoint 'check1' stays" in note for note in created.data["notes"])
    virsh("backup-begin", web.id, backup_xml)
    refused = vmsnap("snapshot", "create", web.name, status=14)
    assert "backup" in error_of(refused)["message"]
    obey(refused)
    vmsnap("group", "delete", web.name, "monday", "--yes")
    assert web.disks == web.originals
    virsh("backup-begin", web.id, backup_xml)
    virsh("domjobabort", web.id)


def test_checkpoints_refuse_what_would_break_their_bitmaps(web, vmsnap):
    web.start("--paused")
    virsh("checkpoint-create-as", web.id, "check1")
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.destroy()
    for command in (
        ("snapshot", "create", web.name),
        ("group", "delete", web.name, "monday", "--yes"),
        ("group", "revert", web.name, "monday"),
    ):
        refused = vmsnap(*command, status=14)
        assert "checkpoints ('check1')" in error_of(refused)["message"]
    assert shown(vmsnap, web)["checkpoints"] == ["check1"]
    obey(refused)
    # libvirt forgot it, and left the frozen layers alone.
    (verdict,) = vmsnap("group", "check", web.name).data["groups"]
    assert verdict["available"]
    vmsnap("group", "delete", web.name, "monday", "--yes")
    assert web.disks == web.originals


def test_a_block_job_is_refused_with_the_command_that_ends_it(web, vmsnap):
    web.start("--paused")
    virsh("blockcopy", web.id, "vda", str(web.folder / "copy"), "--transient-job")
    assert shown(vmsnap, web)["jobs"] == [{"kind": "block copy", "target": "vda"}]
    refused = vmsnap("snapshot", "create", web.name, status=14)
    assert "block copy on vda" in error_of(refused)["message"]
    obey(refused)
    vmsnap("snapshot", "create", web.name)


def metadata_of(machine):
    return re.search(r"<metadata>.*</metadata>", machine.definition(), re.DOTALL)[0]


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
def test_the_metadata_of_other_programs_survives_to_the_letter(web, vmsnap, is_running):
    """H58: prefixes, character data, comments, odd spacing."""
    web.define(web.definition().replace("<memory ", f"{METADATA}\n  <memory ", 1))
    before = metadata_of(web)
    assert "<![CDATA[a < b & c]]><!-- kept -->" in before
    if is_running:
        web.start("--paused")
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert metadata_of(web) == before
    if is_running:
        web.destroy()
    vmsnap("group", "revert", web.name, "monday")
    assert metadata_of(web) == before
    vmsnap("undo", web.name)
    assert metadata_of(web) == before
    groups = [group["name"] for group in vmsnap("group", "list", web.name).data["groups"]]
    vmsnap("group", "delete", web.name, *groups, "--yes")
    assert metadata_of(web) == before
