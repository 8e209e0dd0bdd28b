"""NVRAM in qcow2 and TPM state in a place of its own, where libvirt knows them.

An older libvirt drops both from the definition without a word and uses its own place and format;
then these tests are of what it made of the definition, which has to be kept all the same.
"""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from livebed.machine_xml import OVMF
from livebed.world import refusal
from lxml import etree

pytestmark = pytest.mark.live

BACKEND = "<backend type='emulator' version='2.0'>"


def tpm_place(web) -> Path:
    """Return where the state is, as far as this libvirt has understood the definition."""
    source = etree.fromstring(web.definition()).find("devices/tpm/backend/source")
    return web.tpm if source is None else Path(source.get("path"))


def look(path: Path) -> dict[str, tuple[object, ...]]:
    """Return bytes, owner and mode of a file, or of a directory and its files but the lock."""
    found = {}
    for each in (path, *(sorted(path.iterdir()) if path.is_dir() else ())):
        status = each.stat()
        digest = hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else None
        if each.name != ".lock":
            mode = stat.S_IMODE(status.st_mode)
            found[each.name] = (digest, mode, status.st_uid, status.st_gid)
    return found


def remove(path: Path) -> None:
    """Remove a file, or empty a directory: the next start makes a new state."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.fixture(params=["dir", "file"])
def web(request, machine):
    """Return a machine whose TPM state has a place of its own."""
    made = machine()
    place = made.folder / "tpm"
    if request.param == "file":
        place.mkdir()
        shutil.chown(place, "tss", "tss")
        place /= "state"
    source = f"<source type='{request.param}' path='{place}'/>"
    xml = made.definition()
    plain = "<backend type='emulator' version='2.0'/>"
    assert plain in xml
    made.define(xml.replace(plain, f"{BACKEND}{source}</backend>"))
    made.make_host_files()
    return made


def test_a_tpm_with_a_place_of_its_own_comes_back_whole(web, vmsnap):
    """H21, H39: bytes, owner and mode."""
    place = tpm_place(web)
    monday = look(place)
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    remove(place)
    web.make_host_files()
    friday = look(place)
    assert friday != monday

    vmsnap("group", "revert", web.name, "monday")
    assert look(place) == monday
    assert refusal(web) is None
    remove(place)

    # The start has written to it: what undo brings back is friday's all the same.
    vmsnap("undo", web.name)
    assert look(place) == friday
    vmsnap("backup", "restore", web.name, "monday")
    assert look(place) == monday
    assert refusal(web) is None
    assert not list(place.parent.glob(".vmsnap-*"))


def test_a_state_of_another_form_is_refused_before_anything_changes(web, vmsnap, machine):
    """H21: swtpm writes a file in another form than a directory."""
    place = tpm_place(web)
    vmsnap("backup", "create", web.name, "--name", "kept")
    source = etree.fromstring(web.definition()).find("devices/tpm/backend/source")
    if source is None:
        return  # this libvirt has dropped it
    was = source.get("type")
    other = {"dir": "file", "file": "dir"}[was]
    xml = web.definition()
    web.define(
        xml.replace(
            f"<source type='{was}' path='{place}'", f"<source type='{other}' path='{place}2'"
        )
    )
    before = web.definition()
    answer = vmsnap("backup", "restore", web.name, "kept", "--only", "tpm", status=15)
    assert "kept of a" in answer.document["errors"][0]["message"]
    assert web.definition() == before
    assert not os.path.lexists(f"{place}2")


def test_an_nvram_in_qcow2_comes_back_whole(machine, vmsnap):
    """H21: kept as the file that it is."""
    web = machine()
    place = web.folder / "VARS.qcow2"
    template = web.folder / "template.qcow2"
    command = ["qemu-img", "convert", "-O", "qcow2", f"{OVMF}/OVMF_VARS_4M.fd", str(template)]
    subprocess.run(command, check=True, timeout=30)
    web.define(
        with_nvram(web, f"template='{template}' templateFormat='qcow2' format='qcow2'", place)
    )
    is_kept = "format='qcow2'" in etree.tostring(
        etree.fromstring(web.definition()).find("os/nvram"), encoding="unicode"
    ).replace('"', "'")
    if not is_kept:
        web.define(with_nvram(web, f"template='{OVMF}/OVMF_VARS_4M.fd'", place))
    web.make_host_files()
    assert place.read_bytes().startswith(b"QFI\xfb") == is_kept
    monday = look(place)

    vmsnap("snapshot", "create", web.name, "--name", "monday")
    if is_kept:
        write = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 64k 4k", str(place)]
        subprocess.run(write, check=True, timeout=30)
    else:
        with place.open("r+b") as file:
            file.write(b"\7" * 4096)
    friday = look(place)
    vmsnap("group", "revert", web.name, "monday")
    assert look(place) == monday
    assert refusal(web) is None
    vmsnap("undo", web.name)
    assert look(place) == friday


def with_nvram(web, attributes: str, path: Path) -> str:
    """Return the definition with another variable store."""
    root = etree.fromstring(web.xml())
    old = root.find("os/nvram")
    old.getparent().replace(old, etree.fromstring(f"<nvram {attributes}>{path}</nvram>"))
    return etree.tostring(root, encoding="unicode")
