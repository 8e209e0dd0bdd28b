"""Domains as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.documents.values import path_text, texts, time_text

if TYPE_CHECKING:
    from vmsnap.engine.results import DiskView, DomainView, HostFileView, PartVerdict
    from vmsnap.model import ForeignSnapshot, ImageInfo, JsonObject, JsonValue
    from vmsnap.ports import Holder


def domain(view: "DomainView", *, is_whole: bool) -> "JsonObject":
    """Describe a domain: a line of `vm list`, or with `is_whole` all of `vm show`."""
    found = view.domain
    definition = found.definition
    files = {file.type.value: file for file in view.host_files}
    return {
        "name": found.name,
        "uuid": found.id,
        "state": found.state.value,
        "is_persistent": found.is_persistent,
        "firmware": definition.firmware,
        "secure_boot": definition.secure_boot,
        "nvram": _nvram(view, files.get("nvram")),
        "tpm": _tpm(view, files.get("tpm")),
        "disks": [disk(item, with_chain=is_whole) for item in view.disks],
        "has_managed_save": found.has_managed_save,
        "is_fenced": definition.is_fenced,
        "foreign_snapshots": [foreign_snapshot(item) for item in found.foreign_snapshots],
        "checkpoints": texts(found.checkpoints),
        "jobs": [{"kind": job.kind, "target": job.target} for job in found.block_jobs],
        "busy": holder(view.holder),
        "notes": texts(view.notes),
    }


def disk(view: "DiskView", *, with_chain: bool) -> "JsonObject":
    """Describe a disk of a domain; its chain is null where it was not looked at."""
    chain: JsonValue = [image(info) for info in view.chain]
    return {
        "target": view.target,
        "device": view.device,
        "source_type": view.source_type,
        "path": path_text(view.path),
        "format": view.format,
        "chain": chain if with_chain else None,
        "problem": view.problem,
        **_verdict_of(view.verdict),
    }


def image(info: "ImageInfo") -> "JsonObject":
    """Describe one image file of a chain."""
    return {
        "path": str(info.path),
        "format": info.format,
        "virtual_size_bytes": info.virtual_size_bytes,
        "allocated_bytes": info.allocated_bytes,
        "backing_path": path_text(info.backing_path),
        "backing_format": info.backing_format,
    }


def verdict(part: "PartVerdict") -> "JsonObject":
    """Say whether a snapshot would take one part of a machine."""
    return {
        "name": part.name,
        "is_taken": part.is_taken,
        "reason": part.reason,
        "must_be_excluded": part.must_be_excluded,
    }


def _verdict_of(part: "PartVerdict") -> "JsonObject":
    return {key: value for key, value in verdict(part).items() if key != "name"}


def foreign_snapshot(snapshot: "ForeignSnapshot") -> "JsonObject":
    """Describe a snapshot that libvirt keeps itself."""
    return {
        "name": snapshot.name,
        "is_external": snapshot.is_external,
        "kept_paths": texts(map(str, snapshot.kept_paths)),
        "made_paths": texts(map(str, snapshot.made_paths)),
    }


def holder(found: "Holder | None") -> "JsonObject | None":
    """Say who is at work on a domain with vmsnap; null if nobody is."""
    if found is None:
        return None
    return {
        "verb": found.verb,
        "pid": found.pid,
        "since": time_text(found.since),
        "has_ended": found.has_ended,
    }


def _nvram(view: "DomainView", file: "HostFileView | None") -> "JsonObject | None":
    nvram = view.domain.definition.nvram
    if nvram is None:
        return None
    return {
        "kind": nvram.kind,
        "path": path_text(nvram.path),
        "format": nvram.format,
        "is_derived": nvram.is_derived,
        **_host_file(file),
    }


def _tpm(view: "DomainView", file: "HostFileView | None") -> "JsonObject | None":
    tpm = view.domain.definition.tpm
    if tpm is None:
        return None
    return {
        "backend": tpm.backend,
        "version": tpm.version,
        "path": path_text(tpm.path),
        "is_encrypted": tpm.secret_id is not None,
        "secret_uuid": tpm.secret_id,
        **_host_file(file),
    }


def _host_file(file: "HostFileView | None") -> "JsonObject":
    if file is None:
        return {"size_bytes": None, "is_taken": None, "reason": None, "must_be_excluded": None}
    return {"size_bytes": file.size_bytes, **_verdict_of(file.verdict)}
