"""The connection to libvirtd: bounded calls, errors in our words, made anew when it is lost."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import libvirt

from vmsnap.errors import AccessError, DomainNotFoundError, LibvirtError
from vmsnap.host.bounded_calls import BoundedCalls
from vmsnap.host.libvirt_folders import refuse_remote
from vmsnap.host.os_errors import hint_in
from vmsnap.host.reconnecting import Reconnecting
from vmsnap.model import DomainId

T = TypeVar("T")
# libvirt-python has annotations only in its newer versions, and some of them are wrong.
Connection: TypeAlias = Any
Handle: TypeAlias = Any
"""A virDomain; it never leaves this folder."""

log = logging.getLogger(__name__)

TRUSTED_SECONDS = 0.5
"""So long after an answer an urgent change does not ask first whether libvirtd is there.

Each question would lengthen the time for which a guest is suspended. A libvirtd that was restarted
just then makes the change fail before it has begun, as it does right behind a question.
"""


class Link:
    """Calls of libvirt, each bounded by `timeout_seconds`; connects at the first one."""

    def __init__(self, uri: str, timeout_seconds: float) -> None:
        self._link: Reconnecting[Connection] = Reconnecting(
            lambda: _connect(uri), _is_alive, libvirt.libvirtError, BoundedCalls(timeout_seconds)
        )

    def read(self, what: str, work: Callable[[Connection], T]) -> T:
        """Run a call that changes nothing; once more if the connection turns out to be lost."""
        log.debug("libvirt: %s", what)
        try:
            return self._link.read(work)
        except libvirt.libvirtError as error:
            raise _failure(what, error) from error

    def change(
        self,
        what: str,
        work: Callable[[Connection], T],
        *,
        extra_seconds: float = 0.0,
        is_urgent: bool = False,
    ) -> T:
        """Run a call that changes something, once; `extra_seconds` are added to its limit.

        `is_urgent` says that a guest stands still meanwhile.
        """
        log.debug("libvirt: %s", what)
        try:
            return self._link.change(
                work,
                probe=lambda connection: connection.getLibVersion(),
                extra_seconds=extra_seconds,
                trusted_seconds=TRUSTED_SECONDS if is_urgent else 0.0,
            )
        except libvirt.libvirtError as error:
            raise _failure(what, error) from error


def on(domain_id: DomainId, work: Callable[[Handle], T]) -> Callable[[Connection], T]:
    """Return a call that looks a domain up and works on it."""

    def call(connection: Connection) -> T:
        try:
            return work(connection.lookupByUUIDString(domain_id))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            raise DomainNotFoundError(
                f"this host has no domain with the UUID '{domain_id}'", hint="vmsnap vm list"
            ) from error

    return call


def of_each(domains: Sequence[Handle], work: Callable[[Handle], T]) -> list[T]:
    """Return something of each domain that is still there."""
    found = []
    for domain in domains:
        with except_for(libvirt.VIR_ERR_NO_DOMAIN):
            found.append(work(domain))
    return found


@contextmanager
def except_for(*codes: int) -> Iterator[None]:
    """Let errors of these codes pass in silence."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def _connect(uri: str) -> Connection:
    """Connect to the libvirt of this host; raises ConfigError for a remote one."""
    refuse_remote(uri)
    libvirt.registerErrorHandler(_keep_quiet, None)
    open_connection: Callable[[str], Connection] = libvirt.open
    try:
        connection = open_connection(uri)
        # The URI may have been an alias of libvirt.conf.
        refuse_remote(connection.getURI())
    except libvirt.libvirtError as error:
        message = f"cannot connect to libvirt at '{uri}': {_reason(error)}"
        if _is_refused(error):
            raise AccessError(message) from error
        raise LibvirtError(message, hint="systemctl status libvirtd") from error
    return connection


def _is_refused(error: libvirt.libvirtError) -> bool:
    """Tell whether libvirt would answer somebody else: its socket or polkit keeps this user out."""
    if os.geteuid() == 0:
        return False
    codes = (
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
    )
    return error.get_error_code() in codes or os.strerror(errno.EACCES) in _reason(error)


def _is_alive(connection: Connection) -> bool:
    with suppress(libvirt.libvirtError):
        return bool(connection.isAlive())
    return False


def _keep_quiet(_context: object, _error: object) -> None:
    """Take libvirt's errors, which it would print on stderr otherwise."""


def _failure(what: str, error: libvirt.libvirtError) -> LibvirtError:
    is_cut_off = error.get_error_domain() == libvirt.VIR_FROM_RPC
    hint = "systemctl status libvirtd" if is_cut_off else hint_in(_reason(error))
    return LibvirtError(f"libvirt cannot {what}: {_reason(error)}", hint=hint)


def _reason(error: libvirt.libvirtError) -> str:
    # The first line only: behind it libvirt quotes the XML that it could not read.
    lines = (error.get_error_message() or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else "it gives no reason"
