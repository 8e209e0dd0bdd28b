import pytest

from vmsnap.host.shown_xml import shown_lines

XML = """<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
      <description>two  spaces stay</description><!-- hush -->
  <devices><disk type='file'><source file='/a'/><backingStore/><target dev='vda'/></disk>
    {device}
  </devices>{rest}
</domain>"""


def shown(device="", rest=""):
    return "\n".join(shown_lines(XML.format(device=device, rest=rest)))


def test_a_definition_is_indented_whatever_white_space_it_had():
    assert shown_lines(XML.format(device="", rest="\n\n\n")) == (
        '<domain xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0" type="kvm">',
        "  <name>web</name>",
        "  <description>two  spaces stay</description>",
        "  <devices>",
        '    <disk type="file">',
        '      <source file="/a"/>',
        '      <target dev="vda"/>',
        "    </disk>",
        "  </devices>",
        "</domain>",
    )


@pytest.mark.parametrize(
    ("device", "rest"),
    [
        ("<graphics type='vnc' passwd='hush' passwdValidTo='2027-01-01T00:00:00'/>", ""),
        ("<graphics type='spice' passwd='hush'/>", ""),
        ("<disk><source><cookies><cookie name='a'>hush</cookie></cookies></source></disk>", ""),
        ("", "<qemu:commandline><qemu:arg value='secret,id=a,data=hush'/></qemu:commandline>"),
        ("", "<qemu:commandline><qemu:env name='PASSWORD' value='hush'/></qemu:commandline>"),
        ("", "<metadata><x:y xmlns:x='urn:x' token='hush'/></metadata>"),
        ("", "<metadata><x:password xmlns:x='urn:x'>hush</x:password></metadata>"),
        ("", "<launchSecurity type='sev'><session>hush</session></launchSecurity>"),
    ],
)
def test_what_is_secret_is_never_shown(device, rest):
    """What libvirt hides without --security-info, and what is as secret."""
    text = shown(device, rest)
    assert "hush" not in text
    assert "*****" in text


def test_what_only_names_a_secret_is_shown():
    """The UUID of a libvirt secret opens nothing, and tells which one is needed."""
    text = shown("<tpm><backend><encryption secret='5ec2e700'/></backend></tpm>")
    assert 'secret="5ec2e700"' in text
