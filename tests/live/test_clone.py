"""Host files of one real guest given to another: whose variable it has then, and whose TPM."""

import pytest

pytestmark = pytest.mark.live

TUESDAY = dict.fromkeys(("secret", "variable", "vda", "vdb"), "tuesday")


@pytest.fixture
def target(machine):
    """A second machine, off, with a TPM and firmware of its own, that says tuesday."""
    made = machine(boots_guest=True)
    made.boot("write tuesday")
    return made


def test_the_target_boots_with_the_sources_variable_and_undo_brings_its_own_back(
    written_machine, target, vmsnap
):
    """H46: its TPM starts anew, so that its secret is gone; with keep it is the source's."""
    source = written_machine
    own = target.host_files()
    vmsnap("backup", "clone", source.name, target.name)
    assert not target.tpm.exists()
    assert target.boot("read") == {**TUESDAY, "variable": "monday", "secret": "-"}

    vmsnap("undo", target.name)
    assert target.boot("read") == TUESDAY

    # The source's guest runs by now, and has read its own.
    source.boot_and_stay("read")
    answer = vmsnap("backup", "clone", source.name, target.name, "--tpm", "keep")
    assert "one TPM identity" in answer.data["notes"][0]
    again = vmsnap("backup", "clone", source.name, target.name, "--tpm", "keep")
    assert again.document["changed"] is False
    assert target.boot("read") == {**TUESDAY, "variable": "monday", "secret": "monday"}
    source.stop()

    vmsnap("undo", target.name)
    assert target.boot("read") == TUESDAY
    assert set(target.host_files()) == set(own)


def test_a_group_is_given_while_its_own_machine_has_gone_on(written_machine, machine, vmsnap):
    """The target was never started: it has neither file yet."""
    source = written_machine
    vmsnap("snapshot", "create", source.name, "--name", "monday")
    source.boot("destroy")
    copy = machine(boots_guest=True)
    vmsnap("backup", "clone", source.name, copy.name, "--from", "monday", "--tpm", "keep")
    found = copy.boot("read")
    assert (found["secret"], found["variable"]) == ("monday", "monday")
