"""What libvirt's own snapshots need, read from their XML."""

from pathlib import Path

from vmsnap.host.foreign_xml import foreign_snapshot

DOMAIN = """<domain type='qemu'><name>web</name><devices>
  <disk type='file' device='disk'><source file='/i/a.qcow2'/><target dev='vda'/></disk>
  <disk type='block' device='disk'><source dev='/dev/vg/b'/><target dev='vdb'/></disk>
  <disk type='file' device='cdrom'><source file='/i/c.iso'/><target dev='sda'/></disk>
  <disk type='network' device='disk'><source name='n'/><target dev='vdc'/></disk>
</devices></domain>"""


def snapshot(disks, memory="<memory snapshot='no'/>", domain=DOMAIN):
    return foreign_snapshot(
        f"<domainsnapshot><name>s 1</name>{memory}<disks>{disks}</disks>{domain}</domainsnapshot>"
    )


def test_an_external_snapshot_keeps_what_it_froze_and_made_what_is_active():
    found = snapshot(
        "<disk name='vda' snapshot='external' type='file'><source file='/i/a.s1'/></disk>"
        "<disk name='vdb' snapshot='external' type='block'><source dev='/dev/vg/s1'/></disk>"
        "<disk name='sda' snapshot='no'/>"
    )
    assert (found.name, found.is_external) == ("s 1", True)
    assert found.kept_paths == (Path("/i/a.qcow2"), Path("/dev/vg/b"))
    assert found.made_paths == (Path("/i/a.s1"), Path("/dev/vg/s1"))


def test_an_internal_snapshot_is_in_the_images_of_its_disks():
    found = snapshot("<disk name='vda' snapshot='internal'/><disk name='sda' snapshot='no'/>")
    assert (found.is_external, found.kept_paths) == (False, (Path("/i/a.qcow2"),))
    assert found.made_paths == ()


def test_saved_ram_is_a_file_of_the_snapshot():
    ram = "<memory snapshot='external' file='/i/ram'/>"
    found = snapshot("<disk name='vda' snapshot='no'/>", ram)
    assert (found.is_external, found.kept_paths) == (True, ())
    assert found.made_paths == (Path("/i/ram"),)


def test_disks_that_are_no_files_or_that_a_later_definition_has_add_nothing():
    later = "<inactiveDomain>" + DOMAIN.split("\n", 1)[1].replace("</domain>", "</inactiveDomain>")
    later = later.replace("<inactiveDomain>", "<inactiveDomain><devices>", 1)
    found = snapshot("<disk name='vdc' snapshot='internal'/>", domain=DOMAIN + later)
    assert found.kept_paths == ()
    assert snapshot("", domain="").kept_paths == ()
    both = snapshot("<disk name='vda' snapshot='internal'/>", domain=DOMAIN + later)
    assert both.kept_paths == (Path("/i/a.qcow2"),)
