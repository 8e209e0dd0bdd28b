"""Shutting a machine down before it is changed, and starting it after."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from vmsnap.engine.hints import operands
from vmsnap.engine.requests import Power
from vmsnap.errors import (
    DomainRunningError,
    HostFileChangedError,
    LeftChangedError,
    LibvirtError,
    VmsnapError,
)
from vmsnap.model import Domain, DomainId, DomainState
from vmsnap.ports import Ports

POLL_SECONDS = 0.2
_REHEARSALS = 3


def look_as_planned(ports: Ports, domain_id: DomainId, power: Power) -> Domain:
    """Look at a domain as it will be when it is changed: off, if it is to be shut down first."""
    domain = ports.hypervisor.domain(domain_id)
    return _as_if_off(domain) if _is_to_be_shut_down(domain, power) else domain


def power_changes(ports: Ports, domain_id: DomainId, power: Power) -> tuple[str, ...]:
    """Say what is done with the machine besides changing it, as readable lines."""
    domain = ports.hypervisor.domain(domain_id)
    lines: tuple[str, ...] = ()
    if _is_to_be_shut_down(domain, power):
        lines += (f"guest: asked to shut down first, within {power.timeout_seconds} s",)
    if power.start:
        lines += ("domain: started afterwards",)
    return lines


@contextmanager
def powered(
    ports: Ports, domain_id: DomainId, power: Power, rehearse: Callable[[Domain], object]
) -> Iterator[None]:
    """Shut the domain down for the block if that was asked for, and start it behind the block.

    `rehearse` plans all of the block for the domain as if it were off, so that what would be
    refused costs no downtime. A domain that was shut down here is started again after a failure,
    too, if it was to be started. Raises DomainRunningError, and nothing was changed, if the guest
    is not off in time; LibvirtError with `vmsnap_changed` if the start behind the block fails.
    """
    domain = ports.hypervisor.domain(domain_id)
    was_shut_down = _is_to_be_shut_down(domain, power)
    if was_shut_down:
        _rehearse(domain, rehearse)
        _shut_down(ports, domain, power.timeout_seconds)
    try:
        yield
    except BaseException as error:
        if was_shut_down:
            _after_failure(ports, domain, error, power)
        raise
    if power.start:
        _start(ports, domain)


def _is_to_be_shut_down(domain: Domain, power: Power) -> bool:
    """Tell whether its guest has to be asked; one that is paused cannot be (libvirt says so)."""
    if not power.shut_down or not domain.is_persistent or domain.state is DomainState.SHUT_OFF:
        return False
    if domain.state is DomainState.PAUSED:
        message = f"domain '{domain.name}' is paused, so its guest cannot be shut down"
        raise DomainRunningError(message, hint=f"virsh resume {operands(domain.name)}")
    return True


def _as_if_off(domain: Domain) -> Domain:
    paths = {disk.target: disk.path for disk in domain.definition.disks if disk.path is not None}
    return replace(
        domain, state=DomainState.SHUT_OFF, active_paths=paths, chains={}, live=None, agent=None
    )


def _rehearse(domain: Domain, rehearse: Callable[[Domain], object]) -> None:
    for _ in range(_REHEARSALS):
        try:
            rehearse(_as_if_off(domain))
        except HostFileChangedError:
            # The guest runs and may write its NVRAM or TPM state at any moment.
            continue
        return


def _shut_down(ports: Ports, domain: Domain, timeout_seconds: int) -> None:
    """Ask the guest to shut down and wait until it is off."""
    ports.reporter.step(f"shutting domain '{domain.name}' down")
    try:
        ports.hypervisor.shut_down(domain.id)
    except LibvirtError:
        if not _is_off(ports, domain):
            raise
    try:
        state = _wait_until_off(ports, domain, timeout_seconds)
    except BaseException:
        ports.reporter.warn(f"the guest of domain '{domain.name}' was asked to shut down")
        raise
    if state is DomainState.SHUT_OFF:
        return
    message = (
        f"the guest of domain '{domain.name}' was asked to shut down, but the domain is still"
        f" {state.value} after {timeout_seconds} s; nothing was reverted"
    )
    raise DomainRunningError(message, hint=f"virsh console {operands(domain.name)}")


def _wait_until_off(ports: Ports, domain: Domain, timeout_seconds: int) -> DomainState:
    until = ports.clock.ticks() + timeout_seconds
    while (state := ports.hypervisor.domain(domain.id).state) is not DomainState.SHUT_OFF:
        if ports.clock.ticks() >= until:
            break
        time.sleep(POLL_SECONDS)
    return state


def _is_off(ports: Ports, domain: Domain) -> bool:
    return ports.hypervisor.domain(domain.id).state is DomainState.SHUT_OFF


def _start(ports: Ports, domain: Domain) -> None:
    ports.reporter.step(f"starting domain '{domain.name}'")
    try:
        ports.hypervisor.start(domain.id)
    except LibvirtError as error:
        message = (
            f"domain '{domain.name}' was changed as asked, but does not start: {error.message}"
        )
        failure = LibvirtError(message, hint=f"virsh start {operands(domain.name)}")
        failure.vmsnap_changed = True  # type: ignore[attr-defined] # read where errors are shown
        raise failure from error


def _after_failure(ports: Ports, domain: Domain, error: BaseException, power: Power) -> None:
    """Start again what was shut down here, or say that it stays off."""
    if not power.start or isinstance(error, LeftChangedError):
        ports.reporter.warn(f"domain '{domain.name}' was shut down for this, and stays off")
        return
    try:
        ports.reporter.step(f"starting domain '{domain.name}' again")
        ports.hypervisor.start(domain.id)
    except VmsnapError as second:
        ports.reporter.warn(f"domain '{domain.name}' stays off: {second.message}")
