"""Domains as tables and lines for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Branch, Column, Line, Table
from vmsnap.cli.terminal.text import NOTHING, joined, size

if TYPE_CHECKING:
    from vmsnap.engine.results import DiskView, DomainView, HostFileView, PartVerdict
    from vmsnap.model import Definition, ForeignSnapshot

_LIST = (
    Column("DOMAIN", "bold", folds=True),
    Column("STATE"),
    Column("FIRMWARE", spare=3),
    Column("NVRAM", spare=4),
    Column("TPM", spare=5),
    Column("DISKS", spare=2, folds=True),
    Column("SNAPSHOT", spare=1, folds=True),
)


def domain_table(views: "Sequence[DomainView]") -> tuple[Block, ...]:
    """List domains: what they are made of, and whether a snapshot would take all of it."""
    return (Table(_LIST, tuple(_row(view) for view in views)),) if views else ()


def _row(view: "DomainView") -> tuple[str, ...]:
    definition = view.domain.definition
    hindrances = [part.name for part in _parts(view) if part.must_be_excluded]
    return (
        view.domain.name,
        f"{view.domain.state.value}, busy" if view.holder else view.domain.state.value,
        definition.firmware.upper(),
        "yes" if definition.nvram else NOTHING,
        definition.tpm.version if definition.tpm else NOTHING,
        joined(disk.target for disk in view.disks),
        f"not {joined(hindrances)}" if hindrances else "whole",
    )


def domain_page(view: "DomainView") -> tuple[Block, ...]:
    """Show all that is known of a domain, part by part."""
    domain = view.domain
    files = {file.type.value: file for file in view.host_files}
    return (
        Line(f"{domain.name}  ({domain.id})", "bold"),
        Line(f"state:     {domain.state.value}"),
        *([Line(f"busy:      {view.holder}", "yellow", hanging=11)] if view.holder else []),
        # Above the parts: each of them "would be taken" only once this is settled.
        *(Line(f"note: {note}", "yellow", hanging=6) for note in view.notes),
        Line(f"firmware:  {_firmware(domain.definition)}"),
        *_nvram(domain.definition, files.get("nvram")),
        *_tpm(domain.definition, files.get("tpm")),
        *(_disk(disk) for disk in view.disks),
        *(_foreign_snapshot(snapshot) for snapshot in domain.foreign_snapshots),
        *(Line(f"libvirt checkpoint '{name}'") for name in domain.checkpoints),
        *(Line(f"job:       {job}") for job in domain.block_jobs),
    )


def verdict(part: "PartVerdict") -> str:
    """Say in words whether a snapshot would take a part."""
    reason = f": {part.reason}" if part.reason else ""
    if part.is_taken:
        return f"would be taken{reason}"
    if part.must_be_excluded:
        return f"cannot be taken{reason}"
    return f"left out{reason}"


def _parts(view: "DomainView") -> "list[PartVerdict]":
    disks = [disk.verdict for disk in view.disks]
    return disks + [file.verdict for file in view.host_files]


def _firmware(definition: "Definition") -> str:
    words = {"uefi": "UEFI", "bios": "BIOS"}.get(definition.firmware, definition.firmware)
    if definition.secure_boot is None:
        return words
    return f"{words}, Secure Boot {'on' if definition.secure_boot else 'off'}"


def _nvram(definition: "Definition", file: "HostFileView | None") -> tuple[Block, ...]:
    nvram = definition.nvram
    if nvram is None:
        return (Line(f"NVRAM:     {NOTHING}"),)
    kind = () if nvram.kind == "file" else (nvram.kind,)
    words = joined([str(nvram.path or "no path"), nvram.format, *kind, *_size(file)])
    return (Branch(f"NVRAM:     {words}", children=_verdict_branches(file)),)


def _tpm(definition: "Definition", file: "HostFileView | None") -> tuple[Block, ...]:
    tpm = definition.tpm
    if tpm is None:
        return (Line(f"TPM:       {NOTHING}"),)
    place = (str(tpm.path),) if tpm.path else (tpm.backend,)
    secret = (f"encrypted with secret {tpm.secret_id}",) if tpm.secret_id else ("not encrypted",)
    words = joined([tpm.version, *place, *secret, *_size(file)])
    return (Branch(f"TPM:       {words}", children=_verdict_branches(file)),)


def _foreign_snapshot(snapshot: "ForeignSnapshot") -> Block:
    kind = "external" if snapshot.is_external else "internal"
    where = "froze" if snapshot.is_external else "in"
    children = (
        *(Branch(f"{where} {path}") for path in snapshot.kept_paths),
        *(Branch(f"made {path}") for path in snapshot.made_paths),
    )
    return Branch(f"libvirt snapshot '{snapshot.name}':  {kind}", children=children)


def _size(file: "HostFileView | None") -> tuple[str, ...]:
    if file is None:
        return ()
    return ("no file yet",) if file.size_bytes is None else (size(file.size_bytes),)


def _verdict_branches(file: "HostFileView | None") -> tuple[Branch, ...]:
    return () if file is None else (_verdict_branch(file.verdict),)


def _verdict_branch(part: "PartVerdict") -> Branch:
    style = "green" if part.is_taken else ("red" if part.must_be_excluded else "yellow")
    return Branch(verdict(part), style)


def _disk(view: "DiskView") -> Block:
    words = joined([view.device, view.source_type, *([view.format] if view.format else [])])
    layers = [
        Branch(
            f"{info.path}  {info.format}, {size(info.virtual_size_bytes)},"
            f" {size(info.allocated_bytes)} on disk"
        )
        for info in view.chain
    ]
    if not layers and view.path is not None:
        layers.append(Branch(str(view.path)))
    problem = (Branch(view.problem, "red"),) if view.problem else ()
    children = (_verdict_branch(view.verdict), *layers, *problem)
    return Branch(f"disk {view.target}:  {words}", "bold", children)
