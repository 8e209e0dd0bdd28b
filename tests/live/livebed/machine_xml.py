"""The definition of a throw-away machine, as libvirt reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livebed.machine import Machine

OVMF = "/usr/share/OVMF"
ORDERS = "vmsnap.test.orders"


def domain_xml(machine: Machine) -> str:
    """Return the XML of a domain: QEMU without KVM, no network, the console in a file."""
    hardware = machine.hardware
    attribute = " firmware='efi'" if hardware.firmware == "auto" else ""
    # Secure Boot's code runs in system management mode, which must be there.
    smm = "<smm state='on'/>" if hardware.firmware in {"auto", "secure"} else ""
    return f"""<domain type='qemu'>
  <name>{machine.name}</name>
  <uuid>{machine.id}</uuid>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os{attribute}>
    <type arch='x86_64' machine='q35'>hvm</type>
    {_firmware(machine)}
    {_kernel(machine)}
  </os>
  <features><acpi/>{smm}</features>
  <cpu mode='maximum'/>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    {"".join(_disk(machine, target) for target in machine.targets)}
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{machine.console}'/></serial>
    {_tpm(hardware.tpm)}
    {_channels() if hardware.agent else ""}
    <memballoon model='none'/>
    {hardware.devices}
  </devices>
</domain>
"""


def _firmware(machine: Machine) -> str:
    if machine.hardware.firmware in {"bios", "auto"}:
        return ""
    is_secure = machine.hardware.firmware == "secure"
    code, variables = ("CODE_4M.ms", "VARS_4M.ms") if is_secure else ("CODE_4M", "VARS_4M")
    attributes = "readonly='yes' type='pflash'" + (" secure='yes'" if is_secure else "")
    return (
        f"<loader {attributes}>{OVMF}/OVMF_{code}.fd</loader>"
        f"<nvram template='{OVMF}/OVMF_{variables}.fd'>{machine.nvram}</nvram>"
    )


def _kernel(machine: Machine) -> str:
    if not machine.hardware.boots_guest:
        return ""
    return (
        f"<kernel>{machine.folder}/kernel</kernel>"
        f"<initrd>{machine.folder}/initrd</initrd>"
        "<cmdline>console=ttyS0 quiet panic=-1</cmdline>"
    )


def _disk(machine: Machine, target: str) -> str:
    path = machine.original(target)
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{path.suffix[1:]}'/>"
        f"<source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
    )


def _tpm(version: str | None) -> str:
    if version is None:
        return ""
    model = "tpm-crb" if version == "2.0" else "tpm-tis"
    return f"<tpm model='{model}'><backend type='emulator' version='{version}'/></tpm>"


def _channels() -> str:
    """Return the guest agent's channel, and the one for orders to a guest that runs."""
    return "".join(
        f"<channel type='unix'><target type='virtio' name='{name}'/></channel>"
        for name in ("org.qemu.guest_agent.0", ORDERS)
    )
