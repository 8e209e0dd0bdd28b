"""Compare a machine on real images with its model, and look for what was left over."""

import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from engine.treebed.model import Firmware
from engine.treebed.qcow2 import chain, describe, read_image

from vmsnap.engine.identity.publishing import Standing, standing
from vmsnap.host.image_pull import PREFIX
from vmsnap.model import (
    Capture,
    Digest,
    Group,
    GroupKind,
    GroupState,
    HostFileType,
    Layer,
    Resource,
    ResourceKind,
)


def inspect(bed) -> None:
    """Hold everything against the model: contents, parents, files, and whether it boots."""
    known: dict[Path, bytes] = {}
    layers = {layer.id: layer for layer in bed.layers()}
    inspect_machine(bed, known)
    groups = {group.name: group for group in bed.groups()}
    inspect_groups(bed, groups, layers, known)
    inspect_tree(bed, groups, layers)
    _inspect_files(bed, layers, known)
    if not bed.is_running:
        bed.world.hypervisor.start(bed.world.uuid)
        bed.world.hypervisor.stop(bed.world.uuid)


def inspect_with_qemu(bed) -> None:
    """Ask QEMU itself: are the images sound, and do they give what was read and described?"""
    known: dict[Path, bytes] = {}
    layers = bed.layers()
    copies = {layer.path: bed.world.folder / f"{layer.id}.copy" for layer in layers}
    commands = [
        ["qemu-img", "check", "-q", "-U", "-f", "qcow2", str(layer.path)]
        for layer in layers
        if layer.format == "qcow2"
    ]
    commands += [
        [*f"qemu-img convert -U -O raw -f {layer.format}".split(), layer.path, copies[layer.path]]
        for layer in layers
    ]
    # All at once: starting them is what takes the time.
    running = [subprocess.Popen(argv, stderr=subprocess.PIPE) for argv in commands]
    for process in running:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, (process.args, complaint)
    for layer in layers:
        found = read_image(layer.path, layer.format, known)
        _same(copies[layer.path].read_bytes(), found, f"{layer.path}, read by the test itself")
        copies[layer.path].unlink()
    _inspect_reading_of_headers(bed, layers)


def _inspect_reading_of_headers(bed, layers: Sequence[Layer]) -> None:
    """Once for each disk, since what stands below is described as well."""
    bed.qemu.is_quick = False
    for path, format_ in {layer.target: (layer.path, layer.format) for layer in layers}.values():
        asked = bed.qemu.info(path, format_, is_whole_chain=True)
        assert asked == tuple(describe(image.path, image.format) for image in asked)
    bed.qemu.is_quick = True


def inspect_machine(bed, known: dict[Path, bytes]) -> None:
    domain = bed.world.hypervisor.domain(bed.world.uuid)
    disks = [disk for disk in domain.definition.disks if disk.device == "disk"]
    assert not domain.definition.is_fenced
    assert "backingStore" not in domain.xml
    assert [disk.target for disk in disks] == sorted(bed.model.disks)
    for disk in disks:
        _same(bed.model.disks[disk.target], read_image(disk.path, disk.format, known), disk.target)
        if domain.live is not None:
            # The next start uses what QEMU has open, which is what the headers name.
            assert domain.active_paths[disk.target] == disk.path
            open_ = tuple(image.path for image in chain(disk.path))
            assert domain.chains[disk.target] == open_
    assert domain.live is None or domain.active_paths.keys() == bed.model.disks.keys()
    assert bed.firmware_files() == (bed.model.firmware.nvram, bed.model.firmware.tpm)
    assert bed.memory() == bed.model.firmware.memory


def inspect_groups(
    bed, groups: dict[str, Group], layers: dict[str, Layer], known: dict[Path, bytes]
) -> None:
    model, catalog = bed.model, bed.world.ports.catalog
    content = cache(catalog.content)
    names = {group.id: group.name for group in groups.values()}
    assert list(groups) == list(model.groups)
    record = catalog.record(bed.world.hypervisor.host, bed.world.uuid)
    if record is not None:
        assert names.get(record.current_id) == model.current
        assert names.get(record.safety_id) == model.safety
    for name, wanted in model.groups.items():
        group = groups[name]
        assert names.get(group.parent_id) == wanted.parent, name
        if wanted.is_deleting:
            assert group.state is GroupState.DELETING
        else:
            assert group.state is GroupState.READY
            assert {item.target for item in group.snapshots} == set(wanted.disks), name
            for item in group.snapshots:
                layer = layers[item.layer_id]
                assert layer.facts == bed.world.ports.images.facts(layer.path)
                found = read_image(layer.path, layer.format, known)
                _same(wanted.disks[item.target], found, f"{item.target} of {name}")
        if wanted.firmware is None:
            assert group.kind is GroupKind.SINGLE
            assert group.resource.backups == ()
        else:
            assert _backed_up(group.resource, content) == firmware_files(wanted.firmware)
    alone = {item.name: item for item in catalog.resources() if item.kind is not ResourceKind.GROUP}
    assert alone.keys() == model.backups.keys()
    for name, firmware in model.backups.items():
        assert _backed_up(alone[name], content) == firmware_files(firmware)


def firmware_files(firmware: Firmware) -> tuple[bytes, bytes]:
    """Return NVRAM and TPM state."""
    return firmware.nvram, firmware.tpm


def _backed_up(owner: Resource, content: Callable[[Digest], bytes]) -> tuple[bytes, bytes]:
    archive = content(_digest(owner, HostFileType.TPM))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        state = opened.extractfile("tpm2-00.permall").read()
    return content(_digest(owner, HostFileType.NVRAM)), state


def _digest(owner: Resource, type_: HostFileType) -> Digest:
    backup = owner.backup(type_)
    assert backup.capture is Capture.CAPTURED
    return backup.digest


def inspect_tree(bed, groups: dict[str, Group], layers: dict[str, Layer]) -> None:
    """Nothing stays that nobody needs."""
    named = {item.layer_id for group in groups.values() for item in group.snapshots}
    for layer in layers.values():
        children = [other for other in layers.values() if other.parent_id == layer.id]
        if len(children) > 1:
            bed.branched.add(layer.target)
        is_needed = layer.id in named or layer.is_active or len(children) > 1
        is_left = bool(bed.model.deleting()) or layer.target in bed.loose
        assert is_needed or is_left, f"nobody needs {layer.path}"
        assert not (layer.is_active and children), f"{layer.path} is active under others"


def _inspect_files(bed, layers: dict[str, Layer], known: dict[Path, bytes]) -> None:
    folder = bed.world.folder
    pools = {path for pool in folder.glob("pool-*") for path in pool.iterdir()}
    records = {path for path in pools if path.name == f".{bed.world.uuid}.vmsnap.json"}
    made = {layer.path.parent for layer in layers.values() if layer.is_made_by_vmsnap}
    assert {path.parent for path in records} == made
    assert standing(bed.world.ports, bed.world.uuid) is Standing.CURRENT
    pools -= records
    if bed.model.deleting():
        # What a pull that was killed has left is taken up by the next delete.
        pools = {path for path in pools if not path.name.startswith(PREFIX)}
    assert pools == {layer.path for layer in layers.values()} | bed.originals
    assert [*bed.world.nvram.parent.iterdir()] == [bed.world.nvram]
    assert [*bed.world.tpm.iterdir()] == [bed.world.tpm / "tpm2-00.permall"]
    assert [*bed.world.tpm.parent.iterdir()] == [bed.world.tpm]
    for path, data in bed.templates.items():
        assert path.read_bytes() == data
    for path, (target, data) in bed.model.orphans.items():
        format_ = "raw" if path.suffix == ".raw" else "qcow2"
        _same(data, read_image(path, format_, known), f"detached {target}")
    assert bed.world.journals() == ()


def _same(wanted: bytes, found: bytes, what: str) -> None:
    """Compare, and say where the first difference is instead of showing a mebibyte."""
    if wanted == found:
        return
    size = min(len(wanted), len(found))
    first = next((at for at in range(size) if wanted[at] != found[at]), size)
    message = f"{what}: {len(found)} bytes instead of {len(wanted)}; they differ from {first} on"
    if first < size:
        message += f": {found[first]} instead of {wanted[first]}"
    raise AssertionError(message)
