"""Tell a process from a later one that got its number."""

from contextlib import suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
# Behind the name, which is in brackets and may hold anything: the state is the first, the start
# time the twentieth.
_STATE, _START = 0, 19
_ENDED = frozenset({"Z", "X"})


def birth_of(pid: int) -> str:
    """Return a text that no other process has, of this boot or another; "" if there is none.

    One that has ended and is not yet waited for counts as none.
    """
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        if fields[_STATE] not in _ENDED:
            return f"{fields[_START]} {_BOOT.read_text().strip()}"
    return ""
