"""A second machine beside the bed's own: the same hardware without disks, its own host files."""

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

SOURCE_UUID = "bbbbbbbb-0000-4000-8000-000000000002"


@dataclass
class SecondMachine:
    """What tests ask of it, and do to it."""

    uuid: str
    name: str
    nvram: Path
    tpm: Path

    def touch_firmware(self, value: int) -> None:
        """Let its guest change a UEFI variable and the TPM's state."""
        self.nvram.write_bytes(bytes([value]) * 4096)
        (self.tpm / "tpm2-00.permall").write_bytes(bytes([value]) * 100)

    def host_files(self) -> dict[str, bytes | None]:
        """Return the bytes of NVRAM and TPM state, None where there is none."""
        state = self.tpm / "tpm2-00.permall"
        return {
            "nvram": self.nvram.read_bytes() if self.nvram.exists() else None,
            "tpm": state.read_bytes() if state.exists() else None,
        }


def second_machine(world, name="vmsnap-test-source", uuid=SOURCE_UUID, value=9):
    """Define one that is shut off; `value` is what its firmware wrote, None: never started."""
    root = etree.fromstring(world.hypervisor.machines[world.uuid].xml.encode())
    for disk in root.findall("devices/disk"):
        disk.getparent().remove(disk)
    xml = etree.tostring(root, encoding="unicode")
    world.hypervisor.add(xml.replace(world.uuid, uuid).replace(world.name, name))
    nvram = world.nvram.with_name(f"{name}_VARS.fd")
    machine = SecondMachine(uuid, name, nvram, world.folder / "swtpm" / uuid / "tpm2")
    if value is not None:
        machine.tpm.mkdir(parents=True)
        machine.tpm.parent.chmod(0o711)
        machine.tpm.chmod(0o700)
        machine.touch_firmware(value)
    return machine
