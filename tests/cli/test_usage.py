"""Command lines that cannot be meant so: one sentence, a hint, status 2, nothing changed."""

import pytest

CASES = [
    ("nonsense", "there is no verb 'nonsense'", "vmsnap --help"),
    ("grou list", "there is no verb 'grou'; perhaps 'group' is meant", "vmsnap --help"),
    ("group nonsense", "there is no verb 'nonsense'", "vmsnap group --help"),
    ("vm show", "argument 'DOMAIN' is missing", "vmsnap vm show --help"),
    ("group delete web1", "argument 'GROUP...' is missing", "vmsnap group delete --help"),
    ("vm list --wat", "there is no option '--wat'", "vmsnap vm list --help"),
    ("vm list a b", "too many arguments: 'a b'", "vmsnap vm list --help"),
    ("vm list --wait", "option '--wait' needs a value", "vmsnap --help"),
    ("vm list --wait x", "wrong value for '--wait': 'x' is not a number", "vmsnap vm list --help"),
    (
        "snapshot create web1 --without disk",
        "wrong value for '--without': 'disk' is not one of 'nvram', 'tpm', 'none'",
        "vmsnap snapshot create --help",
    ),
    (
        "snapshot create web1 --name",
        "option '--name' requires an argument",
        "vmsnap snapshot create --help",
    ),
]


@pytest.mark.parametrize(("typed", "message", "hint"), CASES)
def test_a_usage_error_is_one_sentence_and_a_hint(typed, message, hint, vmsnap):
    run = vmsnap(*typed.split(), status=2)
    assert run.out == ""
    assert run.err == f"error: {message}\nhint: {hint}\n"


@pytest.mark.parametrize(("typed", "message", "hint"), CASES)
def test_a_usage_error_is_an_envelope_with_json(typed, message, hint, vmsnap):
    document = vmsnap("--json", *typed.split(), status=2).document
    assert document["errors"] == [{"code": "usage", "message": message, "hint": hint}]
    assert (document["status"], document["changed"], document["exit_code"]) == ("error", False, 2)


def test_what_was_typed_cannot_harm_the_terminal(vmsnap):
    run = vmsnap("vm", "\x1b[31mred", status=2)
    assert "\x1b" not in run.err
