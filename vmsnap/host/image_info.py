"""Read what `qemu-img info` says of an image."""

import json
import os
import re
from contextlib import suppress
from pathlib import Path

from vmsnap.errors import ImageError
from vmsnap.host.os_errors import translated
from vmsnap.model import ImageInfo, JsonObject, JsonValue, is_device_path


def parse_chain(output: bytes) -> tuple[ImageInfo, ...]:
    """Read the answer for one image, or for a chain of them, topmost first.

    Paths come back absolute and resolved, but for names below /dev. Raises ImageError if the answer
    cannot be understood, or an image stands on something that is no file of this host.
    """
    try:
        answer: JsonValue = json.loads(output)
    except (ValueError, RecursionError) as error:
        message = "the answer of 'qemu-img info' is no JSON"
        raise ImageError(message) from error
    images = answer if isinstance(answer, list) else [answer]
    return tuple(_parse(image) for image in images)


def parse_end(output: bytes) -> int:
    """Read from the answer of `qemu-img check` where an image ends. Raises ImageError."""
    with suppress(ValueError, RecursionError):
        answer: JsonValue = json.loads(output)
        if isinstance(answer, dict) and "image-end-offset" in answer:
            return _number(answer, "image-end-offset")
    message = "the answer of 'qemu-img check' does not say where the image ends"
    raise ImageError(message)


def local_path(name: str) -> Path | None:
    """Return the path in an image's file name, None if the name means anything but a file."""
    name = re.sub(r"^(file|host_device):", "", name)
    if not name.startswith("/"):
        return None
    try:
        return resolved(Path(name))
    except (OSError, ValueError):
        # A zero byte, half a character or a name that is too long: no file can be called so.
        return None


def resolved(path: Path) -> Path:
    """Resolve the links in a path; the name of a block device stays as it is.

    /dev/vg/web leads to /dev/dm-3 only until the next boot, so that must get into no header.
    """
    return Path(os.path.normpath(path) if is_device_path(path) else os.path.realpath(path))


def _parse(image: JsonValue) -> ImageInfo:
    if not isinstance(image, dict):
        message = "the answer of 'qemu-img info' does not describe an image"
        raise ImageError(message)
    path = local_path(_text(image, "filename") or "")
    format_ = _text(image, "format")
    if path is None or format_ is None:
        message = f"'{_shown(_text(image, 'filename') or '')}' is no image file of this host"
        raise ImageError(message)
    snapshots = image.get("snapshots")
    with translated(ImageError, "look at an image"):
        is_device = path.is_block_device()
    virtual_size = _number(image, "virtual-size")
    return ImageInfo(
        path=path,
        format=format_,
        virtual_size_bytes=virtual_size,
        allocated_bytes=virtual_size if is_device else _number(image, "actual-size"),
        backing_path=_backing_path(path, image),
        backing_format=_text(image, "backing-filename-format"),
        is_encrypted=_is_encrypted(image),
        has_data_file=bool(_format_data(image).get("data-file")),
        internal_snapshots=len(snapshots) if isinstance(snapshots, list) else 0,
        cluster_bytes=_number(image, "cluster-size") or None,
        is_block_device=is_device,
    )


def _backing_path(path: Path, image: JsonObject) -> Path | None:
    name = _text(image, "full-backing-filename") or _text(image, "backing-filename")
    if not name:
        return None
    backing_path = local_path(name)
    if backing_path is None:
        message = f"image '{path}' stands on '{_shown(name)}', which is no file of this host"
        raise ImageError(message)
    return backing_path


def _is_encrypted(image: JsonObject) -> bool:
    return (
        image.get("encrypted") is True
        or image.get("format") == "luks"
        or bool(_format_data(image).get("encrypt"))
    )


def _format_data(image: JsonObject) -> JsonObject:
    specific = image.get("format-specific")
    data = specific.get("data") if isinstance(specific, dict) else None
    return data if isinstance(data, dict) else {}


def _text(image: JsonObject, key: str) -> str | None:
    value = image.get(key)
    return value if isinstance(value, str) else None


def _number(image: JsonObject, key: str) -> int:
    value = image.get(key)
    return value if isinstance(value, int) else 0


def _shown(name: str) -> str:
    # Names of network images can hold a user and a password.
    return re.sub(r"//[^/@]*@", "//", name)
