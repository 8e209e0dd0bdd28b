"""Making overlays and dropping layers: each done, repeated and taken back."""

import subprocess

import pytest

from vmsnap.engine.steps.overlays import DropLayer
from vmsnap.errors import ImageError, InUseError


def do(run, *steps):
    for step in steps:
        run.facts.update(step.do(run) or {})


def test_an_overlay_is_made_and_taken_back(world, run, make):
    before = world.files()
    do(run, make)
    assert world.ports.images.info(make.path).backing_format == "qcow2"
    make.undo(run)
    make.undo(run)
    assert world.files() == before


def test_a_file_that_was_there_is_neither_overwritten_nor_removed(world, run, make):
    """H33."""
    make.path.write_bytes(b"mine")
    with pytest.raises(ImageError, match="exists"):
        do(run, make)
    make.undo(run)
    assert make.path.read_bytes() == b"mine"


def test_somebody_elses_image_of_that_name_is_left_alone(world, run, make):
    """H33: made between a kill and the recovery."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", make.path, "1M"], check=True)
    make.undo(run)
    assert make.path.exists()
    assert any(str(make.path) in text for text in world.ports.reporter.warnings)


def test_an_unfinished_overlay_of_a_kill_is_removed(run, make):
    """H31."""
    make.path.write_bytes(b"")
    make.undo(run)
    assert not make.path.exists()


def test_an_overlay_whose_backing_file_was_not_written_yet_is_removed(run, make):
    """Its qemu-img was killed as well, before its third fsync."""
    make.path.touch(mode=0o600)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", make.path, "1M"], check=True)
    make.undo(run)
    assert not make.path.exists()


def test_an_overlay_in_use_is_never_removed(run, make, switch):
    """H41."""
    do(run, make, switch)
    with pytest.raises(InUseError):
        make.undo(run)
    assert make.path.exists()


def test_an_overlay_that_was_written_to_is_left_in_place(world, run, make):
    """H44."""
    do(run, make)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 0 64k", make.path], check=True)
    make.undo(run)
    assert make.path.exists()
    assert any(str(make.path) in text for text in world.ports.reporter.warnings)


def test_a_layer_is_dropped_unless_it_is_in_use(world, run, make, switch):
    """H41."""
    do(run, make, switch)
    drop = DropLayer(make.path)
    do(run, drop)
    assert make.path.exists()
    switch.undo(run)
    do(run, drop, drop)
    assert not make.path.exists()


def test_an_undefined_domain_keeps_nothing_from_being_taken_back(world, run, make, switch):
    do(run, make, switch)
    world.hypervisor.undefine(world.uuid)
    switch.undo(run)
    make.undo(run)
    assert not make.path.exists()
