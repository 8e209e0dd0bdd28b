"""The step that looks, behind the fence, at all that the machine will start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.journal import Run
from vmsnap.engine.paths import is_same
from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.engine.steps.look import look
from vmsnap.errors import ContentError, ImageError, LibvirtError, StateError
from vmsnap.model import Definition, Digest, DomainState, HostFileType, JsonObject
from vmsnap.ports import HostFileSpec


@dataclass(frozen=True, slots=True)
class ExpectedHostFile:
    """What a host file has to read as; `digest` None: it has to be gone."""

    type: HostFileType
    path: Path
    digest: Digest | None
    is_file: bool = False

    @property
    def spec(self) -> HostFileSpec:
        """Which host file it is."""
        return HostFileSpec(self.type, self.path, self.is_file)


@dataclass(frozen=True, slots=True)
class ExpectedOverlay:
    """What the header of a new overlay has to say."""

    path: Path
    backing: Path
    backing_format: str


@dataclass(frozen=True, slots=True)
class ProveReturn:
    """Prove that the machine will start from what was planned: the last step before the commit.

    `sources` is the file of each disk (None for an empty drive), or None if the definition was not
    to change. `layers` are all frozen layers that the new overlays stand on.
    """

    kind: ClassVar[str] = "prove_return"
    is_commit: ClassVar[bool] = False
    sources: Mapping[str, Path | None] | None
    overlays: tuple[ExpectedOverlay, ...]
    layers: tuple[LayerWitness, ...]
    host_files: tuple[ExpectedHostFile, ...]

    def do(self, run: Run) -> JsonObject | None:
        """Look at definition, headers, frozen layers and host files; whatever differs is raised."""
        domain = look(run)
        if domain.state is not DomainState.SHUT_OFF or not domain.definition.is_fenced:
            message = f"the fence of domain '{domain.name}' was removed by somebody else"
            raise StateError(message)
        self._prove_definition(domain.definition)
        for overlay in self.overlays:
            _prove_overlay(run, overlay)
        for layer in self.layers:
            if run.ports.images.facts(layer.path) != layer.facts:
                message = f"layer '{layer.path}' is not as it was frozen"
                raise ImageError(message)
        for file in self.host_files:
            _prove_host_file(run, domain.definition, file)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it only looks."""

    def _prove_definition(self, definition: Definition) -> None:
        if self.sources is None:
            return
        found = {disk.target: disk.path for disk in definition.disks}
        for target in sorted({*self.sources, *found}):
            planned, path = self.sources.get(target), found.get(target)
            if (target in found) != (target in self.sources) or (
                planned != path and not is_same(planned, path)
            ):
                message = (
                    f"disk {target} of domain '{definition.name}' has '{path}' in the definition"
                    f" that libvirt keeps, not '{planned}'"
                )
                raise LibvirtError(message)


def _prove_overlay(run: Run, overlay: ExpectedOverlay) -> None:
    info = run.ports.images.info(overlay.path, "qcow2")
    is_right = is_same(info.backing_path, overlay.backing)
    if not is_right or info.backing_format != overlay.backing_format:
        message = f"overlay '{overlay.path}' does not stand on '{overlay.backing}'"
        raise ImageError(message)


def _prove_host_file(run: Run, definition: Definition, file: ExpectedHostFile) -> None:
    named = host_file_spec(definition, file.type)
    if file.digest is not None and named != file.spec:
        message = (
            f"the definition that libvirt keeps of domain '{definition.name}' has its"
            f" {file.type.value} elsewhere, not in '{file.path}'"
        )
        raise LibvirtError(message)
    reading = run.ports.host_files.read(file.spec)
    if (reading.digest if reading else None) != file.digest:
        message = f"'{file.path}' does not read as what was kept"
        raise ContentError(message)
