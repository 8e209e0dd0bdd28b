"""Steps on the definition: the fence, another definition behind it, a managed-save image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Run
from vmsnap.engine.steps.look import look, look_if_defined, require_off
from vmsnap.errors import DomainRunningError, StateError
from vmsnap.model import Domain, DomainState, JsonObject


@dataclass(frozen=True, slots=True)
class Fence:
    """Keep the domain from being started: it is defined with a disk whose file does not exist."""

    kind: ClassVar[str] = "fence"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Fence the domain, then make sure that it was off; if it was not, lift the fence."""
        require_off(run)
        run.ports.hypervisor.define(run.ports.definitions.with_fence(look(run).xml))
        domain = look(run)
        if domain.state is not DomainState.SHUT_OFF:
            lift_fence(run)
            message = f"domain '{domain.name}' was started in the meantime"
            raise DomainRunningError(message, hint=f"virsh shutdown {operands(domain.name)}")
        return None

    def undo(self, run: Run) -> None:
        """Lift the fence."""
        lift_fence(run)


@dataclass(frozen=True, slots=True)
class LiftFence:
    """Allow the domain to be started again."""

    kind: ClassVar[str] = "lift_fence"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Lift the fence of today's definition."""
        lift_fence(run)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


@dataclass(frozen=True, slots=True)
class FenceManagedSave:
    """Keep the domain from being resumed: its saved image names a file that does not exist.

    libvirt resumes a managed-save image with the definition inside it, so the fence in the domain's
    own definition does not hold it.
    """

    kind: ClassVar[str] = "fence_managed_save"
    is_commit: ClassVar[bool] = False
    xml: str = field(repr=False)

    def do(self, run: Run) -> JsonObject | None:
        """Change the definition inside the saved image."""
        run.ports.hypervisor.redefine_managed_save(
            run.operation.domain_id, run.ports.definitions.with_missing_source(self.xml)
        )
        return None

    def undo(self, run: Run) -> None:
        """Give the saved image its definition back, if it is still there."""
        domain = look_if_defined(run)
        if domain is not None and domain.has_managed_save:
            run.ports.hypervisor.redefine_managed_save(domain.id, self.xml)


@dataclass(frozen=True, slots=True)
class RemoveManagedSave:
    """Remove the saved RAM image that does not fit the disks any more (behind the commit)."""

    kind: ClassVar[str] = "remove_managed_save"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Remove it if it is there."""
        run.ports.hypervisor.remove_managed_save(run.operation.domain_id)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


@dataclass(frozen=True, slots=True)
class Define:
    """Define another definition behind the fence.

    `sources` are the disks (path, format) that `old` names, for the case that an administrator has
    edited the definition before this is taken back.
    """

    kind: ClassVar[str] = "define"
    is_commit: ClassVar[bool] = False
    new: str = field(repr=False)
    old: str = field(repr=False)
    sources: Mapping[str, tuple[Path, str]]

    def do(self, run: Run) -> JsonObject | None:
        """Define the new definition under today's name, fenced."""
        today = look(run)
        if today.state is not DomainState.SHUT_OFF or not today.definition.is_fenced:
            message = f"the fence of domain '{today.name}' was removed by somebody else"
            raise StateError(message)
        definitions = run.ports.definitions
        named = definitions.with_name(self.new, today.name)
        run.ports.hypervisor.define(definitions.with_fence(named))
        return {"defined": look(run).xml}

    def undo(self, run: Run) -> None:
        """Define the old definition again; later edits by others and today's name survive."""
        today = look_if_defined(run)
        if today is None:
            return
        definitions = run.ports.definitions
        if definitions.same(today.xml, self.old):
            return
        require_off(run)
        here = {disk.target for disk in today.definition.disks}
        sources = {target: item for target, item in self.sources.items() if target in here}
        if self._was_edited(run, today, sources):
            back = definitions.with_sources(today.xml, sources)
        else:
            back = definitions.with_name(self.old, today.name)
        run.ports.hypervisor.define(definitions.with_fence(back))

    def _was_edited(self, run: Run, today: Domain, sources: Mapping[str, tuple[Path, str]]) -> bool:
        """Tell whether today's definition is an administrator's, not what was defined here."""
        defined = run.facts.get("defined")
        if isinstance(defined, str):
            return not run.ports.definitions.same(today.xml, defined)
        # Nothing says that the new one was defined. libvirt may have completed it, so it cannot be
        # compared; but it has other files.
        paths = {disk.target: disk.path for disk in today.definition.disks}
        return bool(sources) and all(paths[target] == path for target, (path, _) in sources.items())


def lift_fence(run: Run) -> None:
    """Define today's definition without the fence, if it has one."""
    domain = look_if_defined(run)
    if domain is not None and domain.definition.is_fenced:
        run.ports.hypervisor.define(run.ports.definitions.without_fence(domain.xml))
