"""Reading definitions, as libvirt 9 to 12 and people write them."""

from pathlib import Path

import pytest
from fakes.domain_xml import ID, XML, domain_xml

from vmsnap.errors import UnsupportedError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.model import DiskDefinition, NvramDefinition, TpmDefinition

NVRAM = Path("/nvram")
SWTPM = Path("/swtpm")
KEY_ID = "5c6a4534-521d-415c-808c-f92b7e921c92"


@pytest.fixture
def definitions() -> XmlDefinitions:
    return XmlDefinitions(NVRAM, SWTPM)


def test_a_definition_is_read_whole(definitions):
    read = definitions.parse(XML)
    assert (read.id, read.name, read.firmware, read.is_fenced) == (ID, "web1", "uefi", False)
    assert read.disks == (
        DiskDefinition("vda", "disk", "file", Path("/images/web1.qcow2"), "qcow2"),
        DiskDefinition("sda", "cdrom", "file", None, "raw", is_read_only=True),
    )


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            "<disk type='block' device='lun'><driver type='raw'/><source dev='/dev/sdb'/>"
            "<target dev='sdb'/><shareable/></disk>",
            DiskDefinition("sdb", "lun", "block", Path("/dev/sdb"), "raw", is_shareable=True),
        ),
        (
            "<disk type='network' snapshot='no'><driver type='raw'/>"
            "<source protocol='rbd' name='pool/image'/><target dev='vda'/></disk>",
            DiskDefinition("vda", "disk", "network", None, "raw", snapshot_mode="no"),
        ),
        (
            "<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>",
            DiskDefinition("vda", "disk", "volume", None, None, volume=("p", "v")),
        ),
        (
            "<disk type='file'><source file='/a'><encryption format='luks'/></source>"
            "<target dev='vda'/></disk>",
            DiskDefinition("vda", "disk", "file", Path("/a"), None, is_encrypted=True),
        ),
        (
            "<disk type='file'><source file='/a'/><target dev='vda'/><encryption/><transient/>"
            "</disk>",
            DiskDefinition(
                "vda", "disk", "file", Path("/a"), None, is_encrypted=True, is_transient=True
            ),
        ),
        (
            "<disk type='file' device='floppy'><source file='/f.img'/><target dev='fda'/></disk>",
            DiskDefinition("fda", "floppy", "file", Path("/f.img"), None),
        ),
        (
            "<disk type='file'><source file='/a'><slices><slice type='storage' offset='512'"
            " size='512'/></slices></source><target dev='vda'/></disk>",
            DiskDefinition("vda", "disk", "slice", Path("/a"), None),
        ),
    ],
    ids=["lun", "network", "volume", "luks", "old-luks-transient", "floppy", "slice"],
)
def test_disks_of_every_kind_are_read(definitions, xml, expected):
    """H60, H28: what cannot be taken must be seen first."""
    assert definitions.parse(domain_xml(devices=xml)).disks == (expected,)


PFLASH = "<loader readonly='yes' type='pflash'>/code.fd</loader>"


@pytest.mark.parametrize(
    ("os", "expected"),
    [
        (f"{PFLASH}<nvram>/my/vars.fd</nvram>", NvramDefinition("file", Path("/my/vars.fd"))),
        (
            f"{PFLASH}<nvram template='/t.fd'>\n /my/vars.fd\n</nvram>",
            NvramDefinition("file", Path("/my/vars.fd")),
        ),
        (
            f"{PFLASH}<nvram type='file'><source file='/my/vars.fd'/></nvram>",
            NvramDefinition("file", Path("/my/vars.fd")),
        ),
        (
            f"{PFLASH}<nvram format='qcow2'>/my/vars.qcow2</nvram>",
            NvramDefinition("file", Path("/my/vars.qcow2"), "qcow2"),
        ),
        (
            f"{PFLASH}<nvram type='block'><source dev='/dev/loop0'/></nvram>",
            NvramDefinition("block", Path("/dev/loop0")),
        ),
        (
            f"{PFLASH}<nvram type='network'><source protocol='nbd'/></nvram>",
            NvramDefinition("network", None),
        ),
        (PFLASH, NvramDefinition("file", NVRAM / "web1_VARS.fd", is_derived=True)),
        (
            f"{PFLASH}<nvram template='/t.fd'/>",
            NvramDefinition("file", NVRAM / "web1_VARS.fd", is_derived=True),
        ),
        ("<loader type='rom'>/seabios.bin</loader>", None),
        ("<loader type='pflash' readonly='yes' stateless='yes'>/c.fd</loader>", None),
        (
            "<loader type='pflash' readonly='no'>/my/both.fd</loader>",
            NvramDefinition("loader", Path("/my/both.fd")),
        ),
        (
            "<varstore template='/t.json' path='/v/web1.json'/>",
            NvramDefinition("varstore", Path("/v/web1.json")),
        ),
        ("", None),
    ],
    ids=[
        "path",
        "white space",
        "source",
        "qcow2",
        "block",
        "network",
        "pflash only",
        "template only",
        "rom",
        "stateless",
        "writable loader",
        "varstore",
        "bios",
    ],
)
def test_the_variable_store_is_found(definitions, os, expected):
    """H19, H21: every machine that has one, wherever it is."""
    assert definitions.parse(domain_xml(os=os)).nvram == expected


def test_the_variable_store_that_libvirt_9_does_not_name_is_derived(definitions):
    """H21: `<os firmware='efi'>` alone."""
    read = definitions.parse(domain_xml(firmware=" firmware='efi'"))
    assert read.nvram == NvramDefinition("file", NVRAM / "web1_VARS.fd", is_derived=True)
    assert (read.firmware, read.secure_boot) == ("uefi", None)


def test_paths_that_newer_libvirt_keeps_beside_automatic_firmware_are_read(definitions):
    """H21: libvirt 11 writes firmware='efi' into a definition that gave paths."""
    os = (
        "<firmware><feature enabled='no' name='enrolled-keys'/>"
        "<feature enabled='no' name='secure-boot'/></firmware>"
        "<loader readonly='yes' type='pflash' format='raw'>/code.fd</loader>"
        "<nvram template='/t.qcow2' templateFormat='qcow2' format='qcow2'>/my/vars.qcow2</nvram>"
    )
    read = definitions.parse(domain_xml(os=os, firmware=" firmware='efi'"))
    assert read.nvram == NvramDefinition("file", Path("/my/vars.qcow2"), "qcow2")
    assert (read.firmware, read.secure_boot) == ("uefi", False)


@pytest.mark.parametrize(
    "loader", ["<loader stateless='yes'/>", "<loader type='rom'>/amdsev.fd</loader>"]
)
def test_automatic_firmware_may_have_no_variable_store(definitions, loader):
    read = definitions.parse(domain_xml(os=loader, firmware=" firmware='efi'"))
    assert (read.firmware, read.nvram) == ("uefi", None)


@pytest.mark.parametrize(
    ("os", "firmware", "expected"),
    [
        ("<loader type='pflash' readonly='yes' secure='yes'>/c.fd</loader>", "", True),
        (PFLASH, "", False),
        ("<firmware><feature enabled='yes' name='secure-boot'/></firmware>", "efi", True),
        ("<firmware><feature enabled='no' name='secure-boot'/></firmware>", "efi", False),
        ("<loader secure='yes'/>", "efi", True),
        ("", "bios", False),
    ],
)
def test_secure_boot_is_read(definitions, os, firmware, expected):
    attribute = f" firmware='{firmware}'" if firmware else ""
    assert definitions.parse(domain_xml(os=os, firmware=attribute)).secure_boot is expected


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (
            "<backend type='emulator' version='2.0'/>",
            TpmDefinition("emulator", "2.0", SWTPM / ID / "tpm2"),
        ),
        (
            "<backend type='emulator' version='1.2'/>",
            TpmDefinition("emulator", "1.2", SWTPM / ID / "tpm1.2"),
        ),
        (
            f"<backend type='emulator' version='2.0'><encryption secret='{KEY_ID}'/></backend>",
            TpmDefinition("emulator", "2.0", SWTPM / ID / "tpm2", secret_id=KEY_ID),
        ),
        (
            "<backend type='emulator' version='2.0'><source type='dir' path='/t'/></backend>",
            TpmDefinition("emulator", "2.0", Path("/t"), "dir"),
        ),
        (
            "<backend type='emulator' version='2.0'><source type='file' path='/t/f'/></backend>",
            TpmDefinition("emulator", "2.0", Path("/t/f"), "file"),
        ),
        (
            "<backend type='passthrough'><device path='/dev/tpm0'/></backend>",
            TpmDefinition("passthrough", "2.0", None),
        ),
        (
            "<backend type='external'><source type='unix' path='/s'/></backend>",
            TpmDefinition("external", "2.0", None),
        ),
    ],
)
def test_the_tpm_is_read(definitions, backend, expected):
    """H20, H21: its state's place and the secret that encrypts it."""
    tpm = f"<tpm model='tpm-crb'>{backend}</tpm>"
    assert definitions.parse(domain_xml(devices=tpm)).tpm == expected


@pytest.mark.parametrize(
    ("model", "arch", "version"),
    [
        (" model='tpm-tis'", "x86_64", "1.2"),
        ("", "x86_64", "1.2"),
        (" model='tpm-crb'", "x86_64", "2.0"),
        (" model='tpm-tis'", "aarch64", "2.0"),
    ],
)
def test_a_tpm_without_version_has_libvirts_default(definitions, model, arch, version):
    tpm = f"<tpm{model}><backend type='emulator'/></tpm>"
    read = definitions.parse(domain_xml(devices=tpm, arch=arch)).tpm
    assert read is not None
    assert read.version == version


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<domain>",
        "<domainsnapshot/>",
        "<domain><name>a</name></domain>",
        "<domain><uuid>a</uuid></domain>",
        f"<!DOCTYPE domain SYSTEM '/etc/passwd'>{domain_xml()}",
        f"<!DOCTYPE domain [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{domain_xml(os='&e;')}",
        domain_xml(devices="<graphics passwd='secret'/><disk>"),
        "<domain>\ud800</domain>",
    ],
)
def test_what_is_no_definition_is_refused_without_quoting_it(definitions, xml):
    with pytest.raises(UnsupportedError) as caught:
        definitions.parse(xml)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_folders_follow_the_connection(monkeypatch):
    xml = domain_xml(firmware=" firmware='efi'", devices="<tpm><backend type='emulator'/></tpm>")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/me/.config")
    for uri, nvram, swtpm in (
        ("qemu:///system", "/var/lib/libvirt/qemu/nvram", "/var/lib/libvirt/swtpm"),
        (
            "qemu:///session",
            "/home/me/.config/libvirt/qemu/nvram",
            "/home/me/.config/libvirt/qemu/swtpm",
        ),
    ):
        read = XmlDefinitions.for_uri(uri).parse(xml)
        assert read.nvram is not None
        assert read.tpm is not None
        assert read.nvram.path == Path(nvram, "web1_VARS.fd")
        assert read.tpm.path == Path(swtpm, ID, "tpm1.2")
