"""End a step early: by an error, a signal or a kill, before or after something took effect."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.treebed.qcow2 import describe

from vmsnap.errors import (
    DatabaseError,
    HostFileError,
    ImageError,
    LibvirtError,
    VmsnapError,
)
from vmsnap.host.qemu_img import QemuImg
from vmsnap.model import ImageInfo
from vmsnap.ports import Ports

CHANGING = {
    "journals": (HostFileError, {"append"}),
    "host_files": (HostFileError, {"stage", "exchange", "rename", "discard"}),
    "hypervisor": (LibvirtError, {"define", "switch_disks", "merge_live"}),
    "catalog": (DatabaseError, {"reserve", "discard", "commit", "apply", "finish"}),
    "images": (ImageError, {"create_overlay", "commit", "rebase", "set_backing", "remove_overlay"}),
}


class EndedError(BaseException):
    """Stands for a kill (nothing may run after it) or for a signal (it is settled)."""


@dataclass
class Trap:
    """Ends a run at the n-th change of the host; `how` is error, signal or kill."""

    at: int
    how: str
    is_after: bool
    recovery: "Trap | None" = None
    """For a kill: what ends the first try of recover, by a kill or an error."""
    method: str | None = None
    """Count only the calls of this method, such as images.commit; or qemu_img, its writing ones.

    Or block_job: QEMU has written the data of a live merge, and no header yet; or torn_job, the
    other way round, where it was killed as well.
    """
    toggles: bool = False
    """For a kill: the machine is turned off, or on, before anything is recovered."""
    count: int = 0
    is_sprung: bool = False
    is_over: bool = False

    def __repr__(self) -> str:
        again = f", recovery={self.recovery!r}" if self.recovery else ""
        method = f", method={self.method!r}" if self.method else ""
        toggles = ", toggles=True" if self.toggles else ""
        return f"Trap({self.at}, {self.how!r}, {self.is_after}{again}{method}{toggles})"

    def around(
        self, error_class: type[VmsnapError], change: Callable[[], object], method: str = ""
    ) -> object:
        """Do a change, or end the run before or after it."""
        if self.is_over and self.how == "kill":
            raise EndedError  # nor does anything clean up after it
        if self.is_sprung or self.method not in (None, method):
            return change()
        self.count += 1
        if self.count < self.at:
            return change()
        self.is_sprung = True
        if self.is_after:
            change()
        self.is_over = True
        raise error_class("injected") if self.how == "error" else EndedError


class Trapped:
    """A port whose changes go through a trap."""

    def __init__(self, ports: Ports, port: str, trap: Trap) -> None:
        self._real, self._port, self._trap = getattr(ports, port), port, trap
        self._error_class, self._methods = CHANGING[port]

    def __getattr__(self, name: str) -> object:
        found = getattr(self._real, name)
        if name not in self._methods:
            return found
        return lambda *args, **options: self._trap.around(
            self._error_class, lambda: found(*args, **options), f"{self._port}.{name}"
        )


def trapped(ports: Ports, trap: Trap) -> Ports:
    """Return ports that end the run where the trap says."""
    return replace(ports, **{name: Trapped(ports, name, trap) for name in CHANGING})


class QuickQemuImg(QemuImg):
    """qemu-img that reads headers in this process, and can be ended between two commands."""

    def __init__(self, real: QemuImg) -> None:
        super().__init__(real._lock_fds)
        self.trap: Trap | None = None
        self.is_quick = True

    def info(self, path, format_, *, is_whole_chain=False) -> tuple[ImageInfo, ...]:
        if not self.is_quick:
            return super().info(path, format_, is_whole_chain=is_whole_chain)
        try:
            found = [describe(path, format_)]
            while is_whole_chain and found[-1].backing_path is not None:
                found.append(describe(found[-1].backing_path, found[-1].backing_format))
        except OSError as error:
            raise ImageError(str(error)) from error
        return tuple(found)

    def _write(self, task, arguments, data_bytes=0, progress=None) -> None:
        def run() -> None:
            super(QuickQemuImg, self)._write(task, arguments, data_bytes, progress)

        if self.trap is None:
            run()
        else:
            self.trap.around(ImageError, run, "qemu_img")
