"""Steps on host files: prove that they did not move, stage new ones, exchange, discard."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.journal import Run
from vmsnap.engine.steps.look import require_off
from vmsnap.errors import ContentError, HostFileChangedError, HostFileError, ImageError
from vmsnap.model import Digest, FileMeta, FrozenFacts, HostFileType, JsonObject
from vmsnap.ports import FileIdentity, HostFileSpec


@dataclass(frozen=True, slots=True)
class Witness:
    """What a host file looked like when it was captured; `signature` None: it was not there."""

    type: HostFileType
    path: Path
    signature: str | None
    is_file: bool = False

    @property
    def spec(self) -> HostFileSpec:
        """Which host file it is."""
        return HostFileSpec(self.type, self.path, self.is_file)


@dataclass(frozen=True, slots=True)
class LayerWitness:
    """What a layer's file looked like when it was frozen."""

    path: Path
    facts: FrozenFacts


@dataclass(frozen=True, slots=True)
class ConfirmUnchanged:
    """Prove that host files and layers are still what was captured, and the domain still off.

    With `may_run` it may run as well: what was the same at two looks was all there in between.
    """

    kind: ClassVar[str] = "confirm_unchanged"
    is_commit: ClassVar[bool] = False
    host_files: tuple[Witness, ...]
    layers: tuple[LayerWitness, ...]
    may_run: bool = False

    def do(self, run: Run) -> JsonObject | None:
        """Compare all of them again."""
        if not self.may_run:
            require_off(run)
        for witness in self.host_files:
            reading = run.ports.host_files.read(witness.spec)
            if (reading.signature if reading else None) != witness.signature:
                message = f"'{witness.path}' changed in the meantime"
                raise HostFileChangedError(message, hint="run the command again")
        for layer in self.layers:
            if run.ports.images.facts(layer.path) != layer.facts:
                message = f"image '{layer.path}' changed in the meantime"
                raise ImageError(message, hint="run the command again")
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it only looks."""


class Swap(Enum):
    """How a staged host file takes the place of the live one."""

    EXCHANGE = "exchange"
    PLACE = "place"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class StageHostFile:
    """Write a content beside the live host file, under a name of this operation."""

    kind: ClassVar[str] = "stage_host_file"
    is_commit: ClassVar[bool] = False
    type: HostFileType
    path: Path
    staged: Path
    digest: Digest
    meta: FileMeta
    is_file: bool = False

    def do(self, run: Run) -> JsonObject | None:
        """Write it; tell its inode, by which the undo knows which of the two it is."""
        content = run.ports.catalog.content(self.digest)
        spec = HostFileSpec(self.type, self.path, self.is_file)
        identity = run.ports.host_files.stage(spec, self.staged, content, self.meta)
        return {f"staged:{self.type.value}": [identity.device, identity.inode]}

    def undo(self, run: Run) -> None:
        """Remove what was staged; never the live file that an exchange left under its name."""
        staged = _staged_identity(run, self.type)
        found = run.ports.host_files.identity(self.staged)
        if found is None:
            return
        is_ours = staged is None or _is_same(found, staged)
        if not is_ours and not _reads(
            run, HostFileSpec(self.type, self.staged, self.is_file), self.digest
        ):
            message = f"'{self.staged}' is not what vmsnap staged"
            raise HostFileError(message)
        spec = HostFileSpec(self.type, self.path, self.is_file)
        run.ports.host_files.discard(spec, self.staged)


@dataclass(frozen=True, slots=True)
class SwapHostFile:
    """Let a staged host file take the place of the live one, or set the live one aside.

    `digest` is what the live file has to read as afterwards, None if it has to be gone. `live` is
    the inode of the live file as it was planned.
    """

    kind: ClassVar[str] = "swap_host_file"
    is_commit: ClassVar[bool] = False
    type: HostFileType
    path: Path
    staged: Path
    how: Swap
    digest: Digest | None
    live: FileIdentity | None
    is_file: bool = False

    def do(self, run: Run) -> JsonObject | None:
        """Swap, then read back what is live now."""
        require_off(run)
        files = run.ports.host_files
        if self.how is Swap.EXCHANGE:
            files.exchange(self.path, self.staged)
        elif self.how is Swap.PLACE:
            files.rename(self.staged, self.path)
        else:
            files.rename(self.path, self.staged)
        reading = files.read(HostFileSpec(self.type, self.path, self.is_file))
        if (reading.digest if reading else None) != self.digest:
            message = f"'{self.path}' does not read as what was written"
            raise ContentError(message)
        return None

    def undo(self, run: Run) -> None:
        """Swap back, if the swap took place."""
        if self.how is Swap.SET_ASIDE:
            self._bring_back(run)
            return
        if not self._is_swapped(run):
            return
        files = run.ports.host_files
        require_off(run)
        if self.how is Swap.EXCHANGE:
            files.exchange(self.path, self.staged)
        else:
            files.rename(self.path, self.staged)

    def _is_swapped(self, run: Run) -> bool:
        live = run.ports.host_files.identity(self.path)
        if _is_same(live, _staged_identity(run, self.type)):
            return True
        if live is None or _is_same(live, self.live):
            return False
        # Neither of the two: the host's files were restored meanwhile, and have other inodes now.
        return _reads(run, HostFileSpec(self.type, self.path, self.is_file), self.digest)

    def _bring_back(self, run: Run) -> None:
        files = run.ports.host_files
        aside, live = files.identity(self.staged), files.identity(self.path)
        if aside is not None and live is None:
            require_off(run)
            files.rename(self.staged, self.path)
            return
        if _is_same(aside, self.live):
            require_off(run)
            # A start that failed on the fence has made a new NVRAM from its template.
            files.exchange(self.staged, self.path)
        elif aside is not None and not _is_same(live, self.live):
            message = f"cannot tell which of '{self.path}' and '{self.staged}' is the machine's"
            raise HostFileError(message)
        files.discard(HostFileSpec(self.type, self.path, self.is_file), self.staged)


@dataclass(frozen=True, slots=True)
class DiscardHostFile:
    """Remove the host file that was replaced: its bytes are in the catalog (behind the commit)."""

    kind: ClassVar[str] = "discard_host_file"
    is_commit: ClassVar[bool] = False
    type: HostFileType
    path: Path
    staged: Path
    is_file: bool = False

    def do(self, run: Run) -> JsonObject | None:
        """Remove it if it is there."""
        spec = HostFileSpec(self.type, self.path, self.is_file)
        run.ports.host_files.discard(spec, self.staged)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


def _reads(run: Run, spec: HostFileSpec, digest: Digest | None) -> bool:
    reading = run.ports.host_files.read(spec)
    return reading is not None and reading.digest == digest


def _is_same(one: FileIdentity | None, other: FileIdentity | None) -> bool:
    """Compare inodes of one folder; a device may have another number after a power cut."""
    return one is not None and other is not None and one.inode == other.inode


def _staged_identity(run: Run, type_: HostFileType) -> FileIdentity | None:
    fact = run.facts.get(f"staged:{type_.value}")
    if not isinstance(fact, list):
        return None
    device, inode = fact
    return FileIdentity(int(str(device)), int(str(inode)))
