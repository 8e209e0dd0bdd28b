"""Running steps, taking them back and finishing them: one path for every kind of end."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import ClassVar

import pytest

from vmsnap.engine import journal
from vmsnap.engine.journal import execute
from vmsnap.errors import DatabaseError, HostFileError, ImageError, LeftChangedError
from vmsnap.model import Operation


class Interruption(BaseException):
    """Stands for a signal."""


@dataclass
class Step:
    """Remembers what was done; fails on demand."""

    kind: ClassVar[str] = "step"
    name: str
    events: list = field(default_factory=list)
    is_commit: bool = False
    do_error: BaseException | None = None
    again_error: BaseException | None = None
    undo_error: BaseException | None = None

    def do(self, run):
        self.events.append(self.name)
        error, self.do_error = self.do_error, self.again_error
        if error is not None:
            raise error
        return {self.name: 1}

    def undo(self, run):
        self.events.append(f"-{self.name}")
        if self.undo_error is not None:
            raise self.undo_error


class Catalog:
    """Knows whether the operation committed."""

    def __init__(self):
        self.is_committed = False
        self.error = None

    def status(self):
        if self.error:
            raise self.error
        return SimpleNamespace(url="sqlite:///x", identity="one")

    def ping(self):
        if self.error:
            raise self.error

    def was_committed(self, _operation_id):
        return self.is_committed


@pytest.fixture
def bed(ports):
    """Steps a, b, commit, c, d with a catalog, and a way to run them."""
    catalog = Catalog()
    events = []
    steps = {name: Step(name, events, name == "commit") for name in ("a", "b", "commit", "c", "d")}
    seen = SimpleNamespace(
        catalog=catalog,
        journals=ports.journals,
        reporter=ports.reporter,
        is_cancelled=lambda: False,
    )
    operation = Operation("o", "test", "h", "d" * 36, "web", ports.clock.now())

    def run():
        return execute(seen, operation, list(steps.values()))

    return SimpleNamespace(
        catalog=catalog, events=events, steps=steps, run=run, ports=seen, operation=operation
    )


@pytest.fixture(autouse=True)
def plain_steps(monkeypatch):
    """What the steps here are made of needs no JSON."""
    monkeypatch.setattr(journal, "to_json", lambda value: {} if isinstance(value, Step) else "o")


def test_all_steps_are_done_in_order_and_the_journal_goes(bed):
    assert bed.run() == {"a": 1, "b": 1, "commit": 1, "c": 1, "d": 1}
    assert bed.events == ["a", "b", "commit", "c", "d"]
    assert bed.ports.journals.pending() == ()


@pytest.mark.parametrize("error", [ImageError("no"), Interruption(), ValueError("bug")], ids=repr)
def test_what_fails_before_the_commit_is_taken_back_in_reverse_order(bed, error):
    """H5: and is raised, whatever it is."""
    bed.steps["b"].do_error = error
    with pytest.raises(type(error)) as caught:
        bed.run()
    assert bed.events == ["a", "b", "-b", "-a"]
    assert caught.value.vmsnap_changed is False
    assert bed.ports.journals.pending() == ()


def test_an_expected_failure_behind_the_commit_is_finished_and_said(bed):
    bed.steps["c"].do_error = ImageError("no")
    bed.run()
    assert bed.events == ["a", "b", "commit", "c", "c", "d"]
    assert any("second try" in text for text in bed.ports.reporter.warnings)
    assert bed.ports.journals.pending() == ()


@pytest.mark.parametrize("error", [Interruption(), ValueError("bug")], ids=repr)
def test_a_signal_behind_the_commit_is_raised_after_all_is_finished(bed, error):
    """H4: and leaves no journal that the next run would stumble over."""
    bed.steps["c"].do_error = error
    with pytest.raises(type(error)) as caught:
        bed.run()
    assert bed.events == ["a", "b", "commit", "c", "c", "d"]
    assert caught.value.vmsnap_changed is True
    assert bed.ports.journals.pending() == ()


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_in_doubt_is_decided_by_the_catalog(bed, is_committed):
    """H57."""
    bed.catalog.is_committed = is_committed
    bed.steps["commit"].do_error = DatabaseError("gone away")
    if is_committed:
        bed.run()
        assert bed.events == ["a", "b", "commit", "c", "d"]
    else:
        with pytest.raises(DatabaseError):
            bed.run()
        assert bed.events == ["a", "b", "commit", "-commit", "-b", "-a"]


def test_an_undo_that_fails_too_leaves_the_journal_and_says_so(bed):
    bed.steps["b"].do_error = ImageError("first")
    bed.steps["a"].undo_error = HostFileError("second")
    with pytest.raises(LeftChangedError, match=r"first.*second") as caught:
        bed.run()
    assert caught.value.exit_code == 30
    assert caught.value.hint == "vmsnap recover"
    assert bed.ports.journals.pending() == ("d" * 36,)


def test_a_finish_that_fails_again_leaves_the_journal_and_says_so(bed):
    bed.steps["d"].do_error = bed.steps["d"].again_error = ImageError("no")
    with pytest.raises(LeftChangedError):
        bed.run()
    assert bed.ports.journals.pending() == ("d" * 36,)


def test_without_the_database_nothing_is_taken_back(bed):
    """H57: only it knows."""
    step = bed.steps["b"]
    step.do_error = ImageError("first")
    real = step.do

    def do(run):
        bed.catalog.error = DatabaseError("no answer")
        return real(run)

    step.do = do
    with pytest.raises(LeftChangedError, match=r"first.*no answer"):
        bed.run()
    assert bed.events == ["a", "b"]
    assert bed.ports.journals.pending() == ("d" * 36,)


def test_a_database_that_fails_before_anything_began_leaves_nothing(bed):
    """Status 22, not 30: there is nothing to recover."""
    bed.catalog.error = DatabaseError("no answer")
    with pytest.raises(DatabaseError):
        bed.run()
    assert bed.events == []
    assert bed.ports.journals.pending() == ()


def test_a_journal_of_another_version_is_left_to_it(bed):
    bed.ports.journals.start(
        bed.operation.domain_id,
        {"format": 1, "operation": {}, "steps": [{"kind": "unheard_of", "fields": {}}]},
    )
    with pytest.raises(HostFileError, match="another version"):
        journal.load(bed.ports, bed.operation.domain_id, {})
    assert bed.ports.journals.pending() == (bed.operation.domain_id,)


def test_a_journal_whose_header_was_never_whole_tells_nothing(bed):
    """H44."""
    assert journal.load(bed.ports, bed.operation.domain_id, {}) is None


def begun(bed, monkeypatch):
    """Begin a journal of all steps that can be loaded; return its domain."""
    made = iter((bed.operation, *bed.steps.values()))
    monkeypatch.setattr(journal, "from_json", lambda _kind, _fields: next(made))
    header = {"format": 1, "operation": {}, "database": "x", "database_identity": "one"}
    steps = [{"kind": Step.kind, "fields": {}}] * len(bed.steps)
    bed.ports.journals.start(bed.operation.domain_id, {**header, "steps": steps})
    return bed.operation.domain_id


def test_an_entry_that_is_there_twice_counts_once(bed, monkeypatch):
    """H44: an entry whose sync failed is in the file, and is written again; no step is left out."""
    domain_id = begun(bed, monkeypatch)
    for number in (0, 1, 1):
        bed.ports.journals.append(domain_id, {"done": number, "facts": {}})

    assert journal.load(bed.ports, domain_id, {Step.kind: Step}).done == 2


@pytest.mark.parametrize("done", [None, "two", -1, 7])
def test_an_entry_that_names_no_step_is_damaged(bed, monkeypatch, done):
    """H44."""
    domain_id = begun(bed, monkeypatch)
    bed.ports.journals.append(domain_id, {"done": done, "facts": {}})
    with pytest.raises(HostFileError, match="damaged"):
        journal.load(bed.ports, domain_id, {Step.kind: Step})


@pytest.mark.parametrize("name", ["b", "d"])
def test_nothing_is_settled_beside_a_program_that_may_still_write(bed, name):
    """H56: it is left to recover, which waits for the lock that the program holds."""
    bed.steps[name].do_error = LeftChangedError("it hangs")
    with pytest.raises(LeftChangedError, match="it hangs"):
        bed.run()
    assert bed.events[-1] == name
    assert bed.ports.journals.pending() == (bed.operation.domain_id,)


@pytest.mark.parametrize("steps_before", [0, 1, 2])
def test_what_others_cancel_is_taken_back_before_its_next_step(bed, steps_before):
    """A signal is raised in the main thread only; operations in others ask for it."""
    answers = iter([False] * steps_before)
    bed.ports.is_cancelled = lambda: next(answers, True)
    with pytest.raises(KeyboardInterrupt) as caught:
        bed.run()
    assert caught.value.vmsnap_changed is False
    done = ["a", "b"][:steps_before]
    assert [event for event in bed.events if not event.startswith("-")] == done
    assert [event[1:] for event in bed.events if event[1:] in done] == done[::-1]
    assert bed.ports.journals.pending() == ()
