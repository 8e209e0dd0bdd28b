"""The step that switches a domain's disks to their overlays at one proven instant."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.codec import to_json
from vmsnap.engine.journal import Run
from vmsnap.engine.paths import is_same
from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.engine.steps.look import look, look_if_defined
from vmsnap.errors import HostFileChangedError, ImageError, InUseError, LibvirtError
from vmsnap.model import Domain, DomainState, HostFileType, Instant, JsonObject, Proof
from vmsnap.ports import (
    GuestStop,
    GuestWatch,
    HostFileReading,
    HostFileSpec,
    LiveMerge,
    MergeKind,
)

log = logging.getLogger(__name__)

Readings = Mapping[HostFileType, HostFileReading | None]
INSTANT = "instant"
_FROZEN = "frozen:"


@dataclass(slots=True)
class _Window:
    """What happened while the disks were switched; times in milliseconds."""

    before: Readings = field(default_factory=dict)
    after: Readings = field(default_factory=dict)
    failure: LibvirtError | None = None
    call_ms: float = 0.0
    suspended_ms: float | None = None
    frozen_ms: float | None = None


@dataclass(frozen=True, slots=True)
class SwitchDisks:
    """Make the domain use its new overlays by one call of libvirt, the host files being the same.

    `bases` names for each target the path and format that it used before. `host_files` are read
    before and after the call. `was` is the domain's state when this was planned, and `layers` prove
    then that nobody wrote to the images of a domain that was off. `suspends` stops the processors
    of a running guest around all that; `freeze_seconds` freezes its file systems through the agent
    before, which has so long to answer; with `must_freeze` a failure of that ends the operation.
    """

    kind: ClassVar[str] = "switch_disks"
    is_commit: ClassVar[bool] = False
    overlays: Mapping[str, Path]
    bases: Mapping[str, tuple[Path, str]]
    host_files: tuple[HostFileSpec, ...] = ()
    was: DomainState = DomainState.SHUT_OFF
    layers: tuple[LayerWitness, ...] = ()
    suspends: bool = False
    freeze_seconds: int | None = None
    must_freeze: bool = True

    def do(self, run: Run) -> JsonObject | None:
        """Switch; after an error believe what the domain really uses, not the error."""
        before = look(run)
        self._require_bases(before)
        window = self._switch_frozen(run, before)
        # Only now: until here the guest may have stood still.
        run.ports.hypervisor.sync_definitions()
        domain = look(run)
        self._require_switched(domain, window.failure)
        self._require_unmoved(run, domain, window)
        was_off = before.state is domain.state is DomainState.SHUT_OFF
        if not was_off and domain.is_persistent:
            # A guest that has ended meanwhile was switched running, too (H53).
            definitions = run.ports.definitions
            run.ports.hypervisor.define(definitions.with_sources(domain.xml, {}))
        run.readings = window.after
        facts: JsonObject = {INSTANT: to_json(_instant(before, domain, window))}
        for path, _ in self.bases.values():
            facts[f"{_FROZEN}{path}"] = to_json(run.ports.images.facts(path))
        return facts

    def undo(self, run: Run) -> None:
        """Make the domain use its former layers; a running one by active commit and pivot."""
        domain = look_if_defined(run)
        if domain is None:
            return
        self._let_go(run, domain)
        switched = [
            target
            for target, path in self.overlays.items()
            if is_same(path, domain.active_paths.get(target))
            or is_same(path, _inactive_path(domain, target))
        ]
        if not switched:
            return
        if domain.state is DomainState.SHUT_OFF:
            self._merge_what_was_written(run, switched)
        else:
            self._merge_live(run, domain, switched)
        today = look(run)
        sources = {
            target: self.bases[target]
            for target in switched
            if is_same(_inactive_path(today, target), self.overlays[target])
        }
        run.ports.hypervisor.define(run.ports.definitions.with_sources(today.xml, sources))

    # --- the instant ----------------------------------------------------------------------------

    def _switch_frozen(self, run: Run, domain: Domain) -> _Window:
        """Switch with the guest's file systems frozen, if that is wanted and it runs."""
        is_running = domain.state is DomainState.RUNNING
        freezes = self.freeze_seconds is not None and is_running
        suspends = self.suspends and is_running
        if not freezes and not suspends:
            return self._switch(run, domain, None)
        hypervisor = run.ports.hypervisor
        with run.ports.watcher.watch(domain.id) as watch:
            if not freezes:
                return self._switch(run, domain, watch)
            began = run.ports.clock.ticks()
            watch.stopping(GuestStop.FROZEN)
            try:
                has_frozen = self._freeze(run, domain)
                window = self._switch(run, domain, watch if suspends else None)
            finally:
                # Also after a freeze that failed: the agent may have frozen some, or do so yet.
                hypervisor.thaw(domain.id)
                watch.going(GuestStop.FROZEN)
            if has_frozen:
                window.frozen_ms = (run.ports.clock.ticks() - began) * 1000
            return window

    def _freeze(self, run: Run, domain: Domain) -> bool:
        try:
            run.ports.hypervisor.freeze(domain.id, self.freeze_seconds or 1)
        except LibvirtError as error:
            if self.must_freeze:
                raise
            run.ports.reporter.warn(f"{error.message}; going on without")
            return False
        return True

    def _switch(self, run: Run, domain: Domain, watch: GuestWatch | None) -> _Window:
        window = _Window()
        targets = [disk.target for disk in domain.current.disks]
        with _Suspended(run, watch, window) if watch is not None else nullcontext():
            window.before = self._read(run)
            try:
                window.call_ms = run.ports.hypervisor.switch_disks(
                    run.operation.domain_id, self.overlays, targets
                )
            except LibvirtError as error:
                window.failure = error
            window.after = self._read(run)
        return window

    def _read(self, run: Run) -> Readings:
        return {spec.type: run.ports.host_files.read(spec) for spec in self.host_files}

    # --- what has to be true --------------------------------------------------------------------

    def _require_bases(self, domain: Domain) -> None:
        """Refuse if somebody else has put another layer on a disk since this was planned."""
        for target, (base, _) in self.bases.items():
            if not is_same(domain.active_paths.get(target), base):
                message = f"disk {target} of domain '{domain.name}' was switched by somebody else"
                raise InUseError(message, hint="run the command again")

    def _require_switched(self, domain: Domain, failure: LibvirtError | None) -> None:
        behind = [
            target
            for target, path in self.overlays.items()
            if not is_same(domain.active_paths.get(target), path)
        ]
        if behind and failure is not None:
            raise failure
        if behind:
            message = f"libvirt did not switch disk {', '.join(behind)}"
            raise LibvirtError(message)
        for target, (base, _) in self.bases.items():
            chain = domain.chains.get(target, ())
            if len(chain) > 1 and not is_same(chain[1], base):
                message = f"somebody else switched disk {target} to '{chain[1]}' at the same time"
                raise LibvirtError(message)
        if failure is not None:
            log.warning("libvirt reported a failure after it had switched all disks")

    def _require_unmoved(self, run: Run, domain: Domain, window: _Window) -> None:
        for spec in self.host_files:
            one, other = window.before[spec.type], window.after[spec.type]
            if (one.signature if one else None) != (other.signature if other else None):
                message = f"'{spec.path}' changed while the disks were switched"
                raise HostFileChangedError(message, hint="run the command again")
        if self.was is domain.state is DomainState.SHUT_OFF:
            for layer in self.layers:
                if run.ports.images.facts(layer.path) != layer.facts:
                    message = f"image '{layer.path}' changed in the meantime"
                    raise ImageError(message, hint="run the command again")

    # --- taking back ----------------------------------------------------------------------------

    def _let_go(self, run: Run, domain: Domain) -> None:
        """Let a guest go on that a killed run left standing, should its watcher have died too."""
        if INSTANT in run.facts or domain.state not in {DomainState.RUNNING, DomainState.PAUSED}:
            return
        if self.suspends and self.was is DomainState.RUNNING:
            run.ports.hypervisor.resume(domain.id)
        if self.freeze_seconds is not None and domain.agent is not None:
            with suppress(LibvirtError):
                run.ports.hypervisor.thaw(domain.id)

    def _merge_what_was_written(self, run: Run, switched: list[str]) -> None:
        """Keep what a guest wrote that was started and stopped before this is taken back."""
        for target in switched:
            overlay, (base, format_) = self.overlays[target], self.bases[target]
            if was_written(run, overlay):
                run.ports.images.commit(overlay, base, child_format="qcow2", parent_format=format_)
                run.facts[f"merged:{overlay}"] = True

    def _merge_live(self, run: Run, domain: Domain, switched: list[str]) -> None:
        for target in switched:
            overlay = self.overlays[target]
            if not is_same(domain.active_paths.get(target), overlay):
                continue
            # What QEMU has under it, which is another layer if somebody else was quicker.
            chain = domain.chains.get(target, ())
            base = chain[1] if len(chain) > 1 else self.bases[target][0]
            run.ports.hypervisor.merge_live(
                domain.id,
                LiveMerge(MergeKind.COMMIT_ACTIVE, target, overlay, base),
                lambda _done, _total: None,
            )
            run.facts[f"merged:{overlay}"] = True


class _Suspended:
    """Stops the guest's processors for a `with` block, and measures how long."""

    def __init__(self, run: Run, watch: GuestWatch, window: _Window) -> None:
        self._run = run
        self._watch = watch
        self._window = window
        self._began = 0.0

    def __enter__(self) -> None:
        self._watch.stopping(GuestStop.SUSPENDED)
        self._began = self._run.ports.clock.ticks()
        try:
            self._run.ports.hypervisor.suspend(self._run.operation.domain_id)
        except BaseException:
            self._go_on()
            raise

    def __exit__(self, *_error: object) -> None:
        self._go_on()

    def _go_on(self) -> None:
        self._run.ports.hypervisor.resume(self._run.operation.domain_id)
        self._window.suspended_ms = (self._run.ports.clock.ticks() - self._began) * 1000
        self._watch.going(GuestStop.SUSPENDED)


def was_written(run: Run, overlay: Path) -> bool:
    """Tell whether an overlay is known to hold more than when it was made."""
    made = run.facts.get(f"made:{overlay}")
    return made is not None and made != to_json(run.ports.images.facts(overlay))


def frozen_facts(facts: JsonObject, path: Path) -> JsonObject | None:
    """Return what was recorded of a layer's file after it had been frozen, None if nothing was."""
    found = facts.get(f"{_FROZEN}{path}")
    return found if isinstance(found, dict) else None


def _instant(before: Domain, after: Domain, window: _Window) -> Instant:
    stood_still = 0.0
    if after.state is DomainState.SHUT_OFF:
        proof = Proof.OFFLINE
    elif window.suspended_ms is not None:
        proof, stood_still = Proof.SUSPENDED, window.suspended_ms
    elif before.state is after.state is DomainState.PAUSED:
        proof = Proof.SUSPENDED
    else:
        proof, stood_still = Proof.UNCHANGED, window.call_ms
    return Instant(
        proof=proof,
        domain_state=after.state,
        stood_still_ms=stood_still,
        is_quiesced=window.frozen_ms is not None,
        frozen_ms=window.frozen_ms,
    )


def _inactive_path(domain: Domain, target: str) -> Path | None:
    return next((disk.path for disk in domain.definition.disks if disk.target == target), None)
