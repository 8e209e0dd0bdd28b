"""The verb undo."""

from vmsnap.engine import undo
from vmsnap.engine.requests import Power, UndoRequest
from vmsnap.errors import UndoRefusedError

NAME = "vmsnap-test-web"


def test_without_anything_to_undo_it_is_refused(vmsnap, host):
    run = vmsnap("undo", NAME, "--json", status=14)
    assert (run.code, run.changed) == ("undo_refused", False)


def test_its_options_reach_the_engine(vmsnap, host, monkeypatch):
    asked = []

    def refuse(_ports, _domain, request):
        asked.append(request)
        raise UndoRefusedError("no")

    monkeypatch.setattr(undo, "undo_last", refuse)
    vmsnap("undo", NAME, "--force", "--shutdown", "--start", status=14)
    vmsnap("undo", NAME, "--dry-run", status=14)
    power = Power(shut_down=True, start=True)
    assert asked == [UndoRequest(force=True, power=power), UndoRequest(dry_run=True)]


def test_a_dry_run_changes_nothing(vmsnap, host, nvram):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    nvram.write_bytes(b"friday" * 100)
    vmsnap("group", "revert", NAME, "monday")
    assert vmsnap("undo", NAME, "--dry-run", "--json").changed is False
    assert nvram.read_bytes() == b"boot order" * 100
