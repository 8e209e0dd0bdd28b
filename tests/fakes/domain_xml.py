"""Definitions to read and to patch, as libvirt returns them and as small as can be."""

ID = "6f647c76-118e-447a-abee-5d7420cc8d0c"

# As libvirt 9 returns it, with the metadata of two other programs.
XML = f"""<domain type='kvm'>
  <name>web1</name>
  <uuid>{ID}</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
    <x:note xmlns:x="urn:x"><![CDATA[a < b & c]]><!-- kept --><x:empty/>&#13;  two  blanks</x:note>
  </metadata>
  <memory unit='KiB'>65536</memory>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram>/elsewhere/web1.fd</nvram>
  </os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/images/web1.qcow2'/>
      <backingStore type='file'>
        <format type='raw'/>
        <source file='/images/template.raw'/>
      </backingStore>
      <target dev='vda' bus='virtio'/>
      <boot order='1'/>
      <address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x0'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/>
    </disk>
    <controller type='sata' index='0'>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/>
    </controller>
    <controller type='pci' index='0' model='pcie-root'/>
    <interface type='network'>
      <source network='default'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <graphics type='vnc' passwd='secret'/>
  </devices>
</domain>
"""


def domain_xml(os: str = "", devices: str = "", firmware: str = "", arch: str = "x86_64") -> str:
    """Return a definition with a fixed name and UUID."""
    return (
        f"<domain type='kvm'><name>web1</name><uuid>{ID}</uuid>"
        f"<os{firmware}><type arch='{arch}'>hvm</type>{os}</os>"
        f"<devices>{devices}</devices></domain>"
    )
