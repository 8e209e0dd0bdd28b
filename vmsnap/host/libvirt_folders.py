"""Where libvirt of a connection keeps the files that vmsnap has to know."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vmsnap.errors import ConfigError, LibvirtError

# qemu+unix:///system is this host as well; every other transport leaves it.
LOCAL_SCHEME = re.compile(r"[a-z0-9]+(\+unix)?")


@dataclass(frozen=True, slots=True)
class LibvirtFolders:
    """The folders of one libvirt daemon: persistent definitions, NVRAM, swtpm, managed saves."""

    definitions: Path
    nvram: Path
    swtpm: Path
    saves: Path


def folders_of(uri: str) -> LibvirtFolders:
    """Return the default folders of the daemon behind a connection URI.

    Those of a session daemon follow this process's XDG_CONFIG_HOME, as libvirt's do.
    """
    if urlsplit(uri).path != "/session":
        state = Path("/var/lib/libvirt")
        return LibvirtFolders(
            definitions=Path("/etc/libvirt/qemu"),
            nvram=state / "qemu/nvram",
            swtpm=state / "swtpm",
            saves=state / "qemu/save",
        )
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = config / "libvirt/qemu"
    return LibvirtFolders(
        definitions=folder, nvram=folder / "nvram", swtpm=folder / "swtpm", saves=folder / "save"
    )


def refuse_remote(uri: str) -> None:
    """Refuse a connection that leaves this host; raises ConfigError."""
    parts = urlsplit(uri)
    if parts.netloc or not LOCAL_SCHEME.fullmatch(parts.scheme or "alias"):
        raise ConfigError(
            f"the connection '{parts.scheme}://...' is remote; "
            "vmsnap runs on the host whose files it keeps",
            hint="run vmsnap on that host, with --connect qemu:///system",
        )


def sync(path: Path) -> None:
    """Make a file of libvirt's, or a rename in a folder of its, survive a power loss.

    libvirt syncs definitions but not their folder, and saved images not at all. What is not there
    (`test:///` has no files) or may not be opened by this user is left alone. Raises LibvirtError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise LibvirtError(f"cannot sync '{path}': {error.strerror}") from error
    finally:
        os.close(descriptor)
