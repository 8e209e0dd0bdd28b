"""What a running guest is told: to stand still, to go on, to shut down."""

from collections.abc import Callable

import libvirt

from vmsnap.errors import LibvirtError
from vmsnap.host.hypervisor.link import Handle, Link, on
from vmsnap.model import DomainId

THAW_SECONDS = 10


class Guests:
    """The part of the Hypervisor port that acts on the guest as a whole."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def suspend(self, domain_id: DomainId) -> None:
        """Stop the processors of a running domain."""
        self._link.change(
            "suspend the domain", on(domain_id, lambda domain: domain.suspend()), is_urgent=True
        )

    def resume(self, domain_id: DomainId) -> None:
        """Let a paused domain run; one that runs already is fine."""

        def resume(domain: Handle) -> None:
            # Asked only after a failure: until it is resumed, the guest stands still.
            try:
                domain.resume()
            except libvirt.libvirtError:
                if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                    raise

        self._link.change("resume the domain", on(domain_id, resume), is_urgent=True)

    def freeze(self, domain_id: DomainId, timeout_seconds: int) -> None:
        """Freeze the guest's file systems through its agent, within a time limit."""
        self._ask_agent(
            "freeze the guest's file systems", domain_id, timeout_seconds, lambda d: d.fsFreeze()
        )

    def thaw(self, domain_id: DomainId) -> None:
        """Thaw the guest's file systems; nothing happens to those that are not frozen."""
        self._ask_agent(
            "thaw the guest's file systems", domain_id, THAW_SECONDS, lambda d: d.fsThaw()
        )

    def _ask_agent(
        self, what: str, domain_id: DomainId, seconds: int, order: Callable[[Handle], object]
    ) -> None:
        def ask(domain: Handle) -> None:
            # libvirt waits for ever for these two unless it is told otherwise.
            domain.agentSetResponseTimeout(seconds, 0)
            try:
                order(domain)
            finally:
                default = libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK
                domain.agentSetResponseTimeout(default, 0)

        self._link.change(what, on(domain_id, ask), extra_seconds=seconds)

    def start(self, domain_id: DomainId) -> None:
        """Start a domain."""
        self._link.change("start the domain", on(domain_id, lambda domain: domain.create()))

    def shut_down(self, domain_id: DomainId) -> None:
        """Ask the guest to shut down; do not wait for it."""

        def shut_down(domain: Handle) -> None:
            if domain.shutdown() != 0:
                raise LibvirtError("libvirt cannot ask the guest to shut down")

        self._link.change("shut the domain down", on(domain_id, shut_down))
