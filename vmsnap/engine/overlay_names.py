"""How vmsnap calls the overlays that it makes."""

import os
import re
from pathlib import Path

from vmsnap.model import LayerId

_OUR_SUFFIX = re.compile(r"\.vmsnap-[0-9a-f]{12}$")
_MAX_NAME_BYTES = 255


def overlay_name(image: Path, layer_id: LayerId) -> str:
    """Name a new overlay on an image after it; an overlay's own suffix is replaced."""
    suffix = f".vmsnap-{layer_id.replace('-', '')[:12]}.qcow2"
    stem = _OUR_SUFFIX.sub("", image.stem)
    room = _MAX_NAME_BYTES - len(suffix)
    return os.fsdecode(os.fsencode(stem)[:room].decode(errors="ignore").encode()) + suffix


def is_overlay_name(name: str) -> bool:
    """Tell whether a file is called as vmsnap calls the overlays that it makes."""
    stem, dot, suffix = name.rpartition(".")
    return bool(dot) and suffix == "qcow2" and _OUR_SUFFIX.search(stem) is not None
