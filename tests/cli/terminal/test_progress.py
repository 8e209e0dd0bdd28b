"""How far a long step is, from what is told of it."""

from vmsnap.cli.terminal.progress import Meter

MIB = 1024 * 1024


def test_nothing_is_said_of_the_rate_before_anything_moved():
    meter = Meter()
    meter.update(0.0, 0, 10 * MIB)
    meter.update(5.0, 0, 10 * MIB)
    assert meter.words() == "0%, 0 B of 10 MiB"


def test_the_rate_is_that_of_late():
    """A guest that writes makes a merge slower; what it did an hour ago does not count."""
    meter = Meter()
    for second in range(20):
        meter.update(float(second), second * 10 * MIB, 1000 * MIB)
    for second in range(20, 60):
        meter.update(float(second), 190 * MIB + (second - 19) * MIB, 1000 * MIB)
    assert meter.rate == MIB
    assert meter.words() == "23%, 230 MiB of 1000 MiB, 1 MiB/s, 12 min 50 s left"


def test_a_merge_that_begins_anew_is_measured_anew():
    meter = Meter()
    meter.update(0.0, 8 * MIB, 10 * MIB)
    meter.update(1.0, 9 * MIB, 10 * MIB)
    meter.update(2.0, 0, 10 * MIB)
    assert meter.words() == "0%, 0 B of 10 MiB"


def test_more_than_all_is_all():
    """The guest writes on while its layer is merged, so the whole grows."""
    meter = Meter()
    meter.update(0.0, 12 * MIB, 10 * MIB)
    assert meter.bar() == f"[{'=' * 20}]"


def test_without_a_whole_there_is_nothing_left():
    meter = Meter()
    meter.update(0.0, 0, 0)
    assert meter.words() == "100%"
