"""What only a running libvirt says in XML."""

import pytest

from vmsnap.host.live_xml import qemu_owner


def capabilities(models):
    return f"<capabilities><host><uuid>u</uuid>{models}</host></capabilities>"


def model(name, label=""):
    return f"<secmodel><model>{name}</model><doi>0</doi>{label}</secmodel>"


@pytest.mark.parametrize(
    ("models", "owner"),
    [
        ("", None),
        (model("none"), None),
        (
            model("apparmor") + model("dac", "<baselabel type='kvm'>+64055:+108</baselabel>"),
            (64055, 108),
        ),
        (model("dac"), None),
        (model("dac", "<baselabel type='kvm'>somebody:else</baselabel>"), None),
        (model("selinux", "<baselabel type='kvm'>+1:+2</baselabel>"), None),
    ],
)
def test_the_user_of_qemu_is_what_the_owners_security_model_says(models, owner):
    assert qemu_owner(capabilities(models)) == owner
