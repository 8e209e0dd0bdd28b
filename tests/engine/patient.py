"""A machine that something was done to by hand, and what doctor tells of it."""

import sqlite3
from contextlib import closing

import pytest
from fakes.dying import KilledError, die
from fakes.failing import Failing, raising

from vmsnap.engine.doctor import examine, mend
from vmsnap.model import Operation, OperationId


def kill(world, port, method, verb, **options):
    """End a verb as `kill -9` would, at a call of a port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        failing = Failing(getattr(world.ports, port), method, raising(KilledError()), **options)
        with pytest.raises(KilledError):
            verb(world.with_ports(**{port: failing}))


def codes(world, domain=None):
    """The code words of all that doctor finds, sorted."""
    return sorted(item.kind.code for item in examine(world.ports, domain))


def counting(world):
    """What makes doctor's status 3."""
    return [item for item in examine(world.ports) if item.counts]


def only(world, code):
    """The one finding of a code word."""
    (found,) = (item for item in examine(world.ports) if item.kind.code == code)
    return found


def mended(world, *findings):
    """Mend findings; fail unless all are."""
    assert [item.problem for item in mend(world.ports, findings)] == [None] * len(findings)


def sql(world, *statements):
    """Do something to the database that vmsnap would not do."""
    with closing(sqlite3.connect(world.folder / "state" / "vmsnap.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def operation(world):
    """An operation on the machine that nothing knows yet."""
    return Operation(
        id=OperationId(world.ports.clock.new_id()),
        verb="snapshot create",
        host_id=world.hypervisor.host,
        domain_id=world.uuid,
        domain_name=world.name,
        started_at=world.ports.clock.now(),
    )
