"""What only the real libvirt can show; the rest is in the contract of hypervisors."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.hypervisor_beds import (
    URI,
    LiveBed,
    disk_xml,
    domain_xml,
    make_image,
    merge_into,
    name_of,
    new_id,
    run,
)

from vmsnap.errors import ConfigError, DomainNotFoundError, LibvirtError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.fence import FENCE_PATH
from vmsnap.host.hypervisor import LibvirtHypervisor
from vmsnap.model import DomainState, Job

CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
PFLASH = f"<loader readonly='yes' type='pflash'>{CODE}</loader><nvram template='{VARS}'/>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'>{banks}</backend></tpm>"
BANKS = "<active_pcr_banks><sha256/></active_pcr_banks>"


@pytest.fixture
def bed() -> Iterator[LiveBed]:
    bed = LiveBed()
    yield bed
    bed.close()


def digests(folder: Path) -> dict[Path, str]:
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- without a daemon --------------------------------------------------------------------------


@pytest.fixture
def test_driver() -> LibvirtHypervisor:
    return LibvirtHypervisor("test:///default", XmlDefinitions.for_uri("test:///default"))


def test_libvirts_test_driver_can_be_looked_at(test_driver):
    (summary,) = test_driver.domains()
    domain = test_driver.domain(summary.id)
    assert (domain.name, domain.state) == ("test", DomainState.RUNNING)
    assert (domain.block_jobs, domain.checkpoints, domain.foreign_snapshots) == ((), (), ())
    assert [definition.id for definition in test_driver.definitions()] == [summary.id]
    assert test_driver.managed_save_xml(summary.id) is None
    assert not test_driver.has_secret(new_id())


def test_libvirts_test_driver_can_be_defined_and_fenced(test_driver):
    definitions = XmlDefinitions.for_uri("test:///default")
    (summary,) = test_driver.domains()
    before = test_driver.domain(summary.id).xml
    test_driver.define(definitions.with_fence(before))
    assert test_driver.domain(summary.id).definition.is_fenced
    test_driver.define(definitions.without_fence(before))
    assert definitions.same(test_driver.domain(summary.id).xml, before)


def test_an_error_names_the_cause_once_and_nothing_on_stderr(test_driver, capfd):
    with pytest.raises(DomainNotFoundError, match="UUID"):
        test_driver.domain(new_id())
    with pytest.raises(LibvirtError) as caught:
        test_driver.define(domain_xml(new_id()).replace("type='qemu'", "type='secret'"))
    assert caught.value.message.startswith("libvirt cannot define the domain: ")
    assert "\n" not in caught.value.message
    assert capfd.readouterr().err == ""


def test_a_daemon_that_is_not_there_is_named_with_a_hint(tmp_path):
    uri = f"qemu+unix:///system?socket={tmp_path / 'none'}"
    with pytest.raises(LibvirtError, match="cannot connect to libvirt") as caught:
        LibvirtHypervisor(uri, XmlDefinitions.for_uri(uri)).domains()
    assert caught.value.hint == "systemctl status libvirtd"


def test_a_remote_connection_is_refused_before_it_is_made():
    uri = "qemu+ssh://root@192.0.2.1/system"
    with pytest.raises(ConfigError, match="remote"):
        LibvirtHypervisor(uri, XmlDefinitions.for_uri(uri)).domains()


# --- the fence fits every machine --------------------------------------------------------------


def disks(bus: str, prefix: str, count: int) -> tuple[str, ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [*letters, *(f"a{letter}" for letter in letters)]
    return tuple(f"{prefix}{name} {bus}" for name in names[:count])


SHAPES = {
    "q35, virtio": ("q35", disks("virtio", "vd", 2), ""),
    "q35, 30 virtio disks": ("q35", disks("virtio", "vd", 30), ""),
    "q35, all sata units taken": ("q35", disks("sata", "sd", 6), ""),
    "q35, scsi": (
        "q35",
        disks("scsi", "sd", 2),
        "<controller type='scsi' index='0' model='virtio-scsi'/>",
    ),
    "q35, usb": ("q35", disks("usb", "sd", 1), ""),
    "q35, no disks": ("q35", (), ""),
    "pc, all ide units taken": ("pc", disks("ide", "hd", 4), ""),
    "pc, virtio": ("pc", disks("virtio", "vd", 2), ""),
    "pc, a full bus": ("pc", disks("virtio", "vd", 27), ""),
    "pc, two full buses": ("pc", disks("virtio", "vd", 50), ""),
    "pc, no disks": ("pc", (), ""),
}


@pytest.mark.live
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_fence_holds_and_leaves_the_definition_as_it_was(bed, shape):
    """H55: on every machine; libvirt adds no controller for it that would stay."""
    machine, names, more = shape
    devices = ""
    for name in names:
        target, bus = name.split()
        image = bed.folder / f"{target}.raw"
        image.touch()
        os.truncate(image, 1 << 20)
        devices += disk_xml(image, target, bus, "raw")
    domain_id = new_id()
    bed.hypervisor.define(domain_xml(domain_id, devices + more, machine=machine))
    before = bed.hypervisor.domain(domain_id).xml
    bed.hypervisor.define(bed.definitions.with_fence(before))
    with pytest.raises(LibvirtError, match=f"Cannot access storage file '{FENCE_PATH}'"):
        bed.start(domain_id)
    fenced = bed.hypervisor.domain(domain_id).xml
    bed.hypervisor.define(bed.definitions.without_fence(fenced))
    assert bed.hypervisor.domain(domain_id).xml == before


@pytest.mark.live
@pytest.mark.parametrize("banks", ["", BANKS], ids=["plain", "active_pcr_banks"])
@pytest.mark.parametrize("is_saved", [False, True], ids=["off", "saved"])
def test_a_start_that_the_fence_stops_touches_neither_tpm_nor_nvram(bed, banks, is_saved):
    """H55, H27: also with a saved image that is held by a missing source."""
    domain_id = new_id()
    disk = disk_xml(make_image(bed.folder / "vda.qcow2"), "vda")
    xml = domain_xml(domain_id, disk + TPM.format(banks=banks), os=PFLASH)
    bed.hypervisor.define(xml)
    bed.start(domain_id)
    saved = None
    if is_saved:
        bed.save(domain_id)
        saved = bed.hypervisor.managed_save_xml(domain_id)
        held = bed.definitions.with_missing_source(saved)
        bed.hypervisor.redefine_managed_save(domain_id, held)
    else:
        bed.stop(domain_id)
    domain = bed.hypervisor.domain(domain_id)
    bed.hypervisor.define(bed.definitions.with_fence(domain.xml))
    kept = (domain.definition.tpm.path, domain.definition.nvram.path.parent)
    before = [digests(folder) for folder in kept]
    assert all(before)
    for arguments in (("start",), ("start", "--force-boot"), ("start", "--paused")):
        if is_saved and "--force-boot" in arguments:
            continue
        with pytest.raises(LibvirtError, match=str(FENCE_PATH)):
            bed.virsh(*arguments, domain_id)
    assert [digests(folder) for folder in kept] == before
    if saved is not None:
        bed.hypervisor.redefine_managed_save(domain_id, saved)
    bed.hypervisor.define(domain.xml)
    bed.start(domain_id)
    assert bed.hypervisor.domain(domain_id).state is DomainState.RUNNING


# --- what the definition says of the machine ---------------------------------------------------


@pytest.mark.live
def test_the_variable_store_is_where_the_definition_says_or_libvirt_puts_it(bed):
    """H21: `<os firmware='efi'>` alone has no path in libvirt 9's inactive definition."""
    domain_id = new_id()
    bed.hypervisor.define(domain_xml(domain_id, firmware=" firmware='efi'"))
    nvram = bed.hypervisor.domain(domain_id).definition.nvram
    assert nvram.path == Path(f"/var/lib/libvirt/qemu/nvram/{name_of(domain_id)}_VARS.fd")
    assert not nvram.path.exists()
    bed.start(domain_id)
    assert nvram.path.exists()


@pytest.mark.live
@pytest.mark.parametrize("model", ["tpm-tis", "tpm-crb"])
def test_libvirt_defines_a_tpm_with_the_version_that_is_assumed(bed, model):
    tpm = f"<tpm model='{model}'><backend type='emulator'/></tpm>"
    xml = domain_xml(domain_id := new_id(), tpm)
    bed.hypervisor.define(xml)
    defined = bed.hypervisor.domain(domain_id).definition.tpm
    assert defined == bed.definitions.parse(xml).tpm


@pytest.mark.live
def test_a_defined_secret_is_found(bed):
    """H20: encrypted TPM state needs it."""
    secret_id = new_id()
    file = bed.folder / "secret.xml"
    file.write_text(
        f"<secret ephemeral='no' private='yes'><uuid>{secret_id}</uuid>"
        f"<usage type='vtpm'><name>{name_of(secret_id)}</name></usage></secret>"
    )
    bed.virsh("secret-define", str(file))
    assert bed.hypervisor.has_secret(secret_id)
    bed.virsh("secret-undefine", secret_id)
    assert not bed.hypervisor.has_secret(secret_id)


# --- running domains ---------------------------------------------------------------------------


@pytest.mark.live
def test_a_live_merge_moves_the_data_into_the_base(bed):
    domain_id = new_id()
    base = make_image(bed.folder / "vda.qcow2")
    overlay = make_image(bed.folder / "overlay.qcow2", base)
    run("qemu-io", "-c", "write -P 0x5a 64k 64k", str(overlay))
    bed.hypervisor.define(domain_xml(domain_id, disk_xml(base, "vda")))
    bed.hypervisor.switch_disks(domain_id, {"vda": overlay})
    bed.start(domain_id)
    merge_into(bed, domain_id, base)
    bed.stop(domain_id)
    assert "failed" not in run("qemu-io", "-c", "read -P 0x5a 64k 64k", str(base))


@pytest.mark.live
def test_jobs_and_checkpoints_of_others_are_seen_and_left_alone(bed):
    domain_id = new_id()
    base = make_image(bed.folder / "vda.qcow2")
    overlay = make_image(bed.folder / "overlay.qcow2", base)
    bed.hypervisor.define(domain_xml(domain_id, disk_xml(base, "vda")))
    bed.start(domain_id)
    bed.hypervisor.switch_disks(domain_id, {"vda": overlay})
    bed.virsh("checkpoint-create-as", domain_id, "check1")
    bed.virsh("blockcopy", domain_id, "vda", str(bed.folder / "copy"), "--transient-job")
    domain = bed.hypervisor.domain(domain_id)
    assert domain.checkpoints == ("check1",)
    assert domain.block_jobs == (Job("block copy", "vda"),)
    with pytest.raises(LibvirtError, match="another file"):
        merge_into(bed, domain_id, base)
    assert bed.hypervisor.domain(domain_id).block_jobs == (Job("block copy", "vda"),)
    bed.virsh("blockjob", domain_id, "vda", "--abort")
    bed.virsh("checkpoint-delete", domain_id, "check1")


@pytest.mark.live
def test_a_merge_that_an_interrupted_run_left_is_taken_over(bed):
    """H44: the first run was killed before it pivoted."""
    domain_id = new_id()
    base = make_image(bed.folder / "vda.qcow2")
    overlay = make_image(bed.folder / "overlay.qcow2", base)
    bed.hypervisor.define(domain_xml(domain_id, disk_xml(base, "vda")))
    bed.start(domain_id)
    bed.hypervisor.switch_disks(domain_id, {"vda": overlay})
    bed.virsh("blockcommit", domain_id, "vda", "--active")
    assert bed.hypervisor.domain(domain_id).block_jobs == (Job("active block commit", "vda"),)
    merge_into(bed, domain_id, base)
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.active_paths["vda"], domain.block_jobs) == (base, ())


@pytest.mark.live
def test_a_transient_domain_is_listed_and_not_made_persistent_by_a_merge(bed):
    domain_id = new_id()
    base = make_image(bed.folder / "vda.qcow2")
    file = bed.folder / "domain.xml"
    file.write_text(domain_xml(domain_id, disk_xml(base, "vda")))
    bed.virsh("create", str(file))
    bed.hypervisor.switch_disks(domain_id, {"vda": make_image(bed.folder / "o.qcow2", base)})
    merge_into(bed, domain_id, base)
    assert not bed.hypervisor.domain(domain_id).is_persistent
    assert domain_id in {definition.id for definition in bed.hypervisor.definitions()}


# --- the daemon itself -------------------------------------------------------------------------


def daemon_pid() -> int:
    return int(Path("/run/libvirtd.pid").read_text(encoding="ascii"))


@pytest.mark.live
def test_a_restart_of_libvirtd_is_not_noticed(bed):
    domain_id = new_id()
    bed.hypervisor.define(domain_xml(domain_id))
    for call in (
        lambda: bed.hypervisor.domain(domain_id),
        lambda: bed.hypervisor.define(domain_xml(domain_id)),
    ):
        restart_daemon()
        call()


def restart_daemon() -> None:
    old = daemon_pid()
    os.kill(old, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{old}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(["libvirtd", "-d"], check=True)
    ask = ["virsh", "-c", URI, "version"]
    while subprocess.run(ask, capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.live
def test_a_libvirtd_that_does_not_answer_is_not_waited_for(bed):
    """H4: every wait has a limit."""
    hypervisor = LibvirtHypervisor(URI, bed.definitions, timeout_seconds=0.5)
    hypervisor.domains()
    os.kill(daemon_pid(), signal.SIGSTOP)
    try:
        with pytest.raises(LibvirtError, match=r"did not answer within 0.5 s"):
            hypervisor.domains()
    finally:
        os.kill(daemon_pid(), signal.SIGCONT)
    hypervisor.domains()
