"""Read what `qemu-img info` says of an image."""

import json
import os
import re
from pathlib import Path

from vmsnap.errors import ImageError
from vmsnap.model import ImageInfo, JsonObject, JsonValue


def parse_chain(output: bytes) -> tuple[ImageInfo, ...]:
    """Read the answer for one image, or for a chain of them, topmost first.

    Paths come back absolute and resolved. Raises ImageError if the answer cannot be understood, or
    an image stands on something that is no file of this host.
    """
    try:
        answer: JsonValue = json.loads(output)
    except ValueError as error:
        message = "the answer of 'qemu-img info' is no JSON"
        raise ImageError(message) from error
    images = answer if isinstance(answer, list) else [answer]
    return tuple(_parse(image) for image in images)


def local_path(name: str) -> Path | None:
    """Return the path in an image's file name, None if the name means anything but a file."""
    name = name.removeprefix("file:")
    return Path(os.path.realpath(name)) if name.startswith("/") else None


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
    return ImageInfo(
        path=path,
        format=format_,
        virtual_size_bytes=_number(image, "virtual-size"),
        allocated_bytes=_number(image, "actual-size"),
        backing_path=_backing_path(path, image),
        backing_format=_text(image, "backing-filename-format"),
        is_encrypted=_is_encrypted(image),
        has_data_file=bool(_format_data(image).get("data-file")),
        internal_snapshots=len(snapshots) if isinstance(snapshots, list) else 0,
        cluster_bytes=_number(image, "cluster-size") or None,
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
