"""The test bed itself: a guest that keeps what it is told, until it is told to destroy it."""

import pytest

pytestmark = pytest.mark.live


def test_the_guest_keeps_a_secret_a_variable_and_two_disks_until_it_destroys_them(machine):
    web = machine(boots_guest=True)
    assert web.boot("read") == {"secret": "-", "variable": "-", "vda": "-", "vdb": "-"}
    web.boot("write monday")
    kept = {"secret": "monday", "variable": "monday", "vda": "monday", "vdb": "monday"}
    assert web.boot("read") == kept
    destroyed = {"secret": "-", **dict.fromkeys(("variable", "vda", "vdb"), "destroyed")}
    assert web.boot("destroy", "read") == destroyed
