"""The commands of qemu-img that vmsnap uses, each with its time limit."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from vmsnap.errors import ImageError, VmsnapError
from vmsnap.host import processes
from vmsnap.host.image_info import parse_chain, parse_end
from vmsnap.model import ImageInfo
from vmsnap.ports import Progress

_SHARE = re.compile(rb"\(([0-9]+\.[0-9]+)/100%\)")
READ_SECONDS = 60.0
WRITE_SECONDS = 600.0
AT_ONCE = 4
"""How many images are read at the same time."""
SLOWEST_BYTES_PER_SECOND = 1024 * 1024
"""Merging is given the time that the data would take at this pace, on top of WRITE_SECONDS."""


class QemuImg:
    """Runs qemu-img; programs that write inherit the descriptors that `lock_fds` returns.

    Paths are absolute: qemu-img would take a colon in a relative one for a protocol. Every failure
    is an ImageError, but for a qemu-img that is not installed: ProgramMissingError.
    """

    def __init__(self, lock_fds: Callable[[], tuple[int, ...]]) -> None:
        self._lock_fds = lock_fds

    def info(
        self, path: Path, format_: str | None, *, is_whole_chain: bool = False
    ) -> tuple[ImageInfo, ...]:
        """Describe an image, or all of its chain, without taking image locks."""
        output = processes.run(
            _info(path, format_, is_whole_chain=is_whole_chain),
            task=f"read image '{path}'",
            error_class=ImageError,
            timeout_seconds=READ_SECONDS,
        )
        return parse_chain(output)

    def chains(
        self, images: Sequence[tuple[Path, str | None]]
    ) -> tuple[tuple[ImageInfo, ...] | None, ...]:
        """Describe the chains of several images, some at a time; None for one that failed."""
        found: list[tuple[ImageInfo, ...] | None] = []
        for number in range(0, len(images), AT_ONCE):
            answers = processes.read_side_by_side(
                [
                    (_info(path, format_, is_whole_chain=True), f"read image '{path}'")
                    for path, format_ in images[number : number + AT_ONCE]
                ],
                error_class=ImageError,
                timeout_seconds=READ_SECONDS,
            )
            found += map(_parsed, answers)
        return tuple(found)

    def end_of(self, path: Path) -> int:
        """Return where a qcow2 image ends, in bytes from its start."""
        output = processes.run(
            ["qemu-img", "check", "--output=json", "--force-share", "-f", "qcow2", str(path)],
            task=f"measure image '{path}'",
            error_class=ImageError,
            timeout_seconds=WRITE_SECONDS,
        )
        return parse_end(output)

    def create(
        self, path: Path, backing: Path, backing_format: str, size_bytes: int | None = None
    ) -> None:
        """Turn the file `path` into an empty overlay, of its backing's size unless one is given."""
        names = ["-b", str(backing), "-F", backing_format, str(path)]
        size = [] if size_bytes is None else [str(size_bytes)]
        self._write(f"make image '{path}'", ["create", "-q", "-f", "qcow2", *names, *size])

    def commit(
        self, child: Path, child_format: str, data_bytes: int, progress: Progress | None = None
    ) -> None:
        """Write a child's data into its direct backing file; the child is left as it is."""
        # Without -d the child would be emptied afterwards.
        self._write(
            f"merge image '{child}'",
            ["commit", _voice(progress), "-d", "-f", child_format, str(child)],
            data_bytes,
            progress,
        )

    def mend_leaks(self, path: Path, data_bytes: int) -> None:
        """Free clusters of a qcow2 image that nothing refers to."""
        self._write(
            f"check image '{path}'",
            ["check", "-q", "-f", "qcow2", "-r", "leaks", str(path)],
            data_bytes,
        )

    def set_backing(self, path: Path, backing: Path, backing_format: str) -> None:
        """Write another backing file into the header, and nothing else."""
        self._write(
            f"change the backing of image '{path}'",
            ["rebase", "-u", "-f", "qcow2", "-b", str(backing), "-F", backing_format, str(path)],
        )

    def rebase(
        self,
        path: Path,
        backing: tuple[Path | None, str | None],
        data_bytes: int,
        progress: Progress | None = None,
    ) -> None:
        """Copy into an image what another backing file (None: none) would not give it, then switch.

        The header can reach the disk before the copied data.
        """
        backing_path, backing_format = backing
        names = ["-b", str(backing_path or ""), *(["-F", backing_format] if backing_format else [])]
        self._write(
            f"rebase image '{path}'",
            ["rebase", _voice(progress), "-f", "qcow2", *names, str(path)],
            data_bytes,
            progress,
        )

    def _write(
        self,
        task: str,
        arguments: Sequence[str],
        data_bytes: int = 0,
        progress: Progress | None = None,
    ) -> None:
        processes.run(
            ["qemu-img", *arguments],
            task=task,
            error_class=ImageError,
            timeout_seconds=WRITE_SECONDS + data_bytes / SLOWEST_BYTES_PER_SECOND,
            pass_fds=self._lock_fds(),
            listener=_listener(progress, data_bytes) if progress is not None else None,
        )


def _voice(progress: Progress | None) -> str:
    return "-q" if progress is None else "-p"


def _listener(progress: Progress, data_bytes: int) -> Callable[[bytes], None]:
    """Understand what `-p` prints: `    (12.34/100%)`, again and again."""

    def listen(output: bytes) -> None:
        shares = _SHARE.findall(output)
        if shares:
            progress(int(data_bytes * float(shares[-1]) / 100), data_bytes)

    return listen


def _info(path: Path, format_: str | None, *, is_whole_chain: bool) -> list[str]:
    words = ["qemu-img", "info", "--output=json", "--force-share"]
    chain = ["--backing-chain"] if is_whole_chain else []
    return [*words, *chain, *(["-f", format_] if format_ else []), str(path)]


def _parsed(answer: bytes | VmsnapError) -> tuple[ImageInfo, ...] | None:
    if isinstance(answer, VmsnapError):
        return None
    try:
        return parse_chain(answer)
    except ImageError:
        return None
