"""A domain's XML as lines that may be shown: indented, and without what is secret."""

import re

from lxml import etree

from vmsnap.host.domain_xml_parse import load
from vmsnap.host.fence import remove, remove_fence

HIDDEN = "*****"
"""As libvirt shows a password to those who may not see it."""

# libvirt itself hides `passwd` of graphics. The others are secrets just as well: a cookie opens an
# http disk, and QEMU's own arguments and variables are free text.
_SECRET_WORDS = re.compile(
    r"passw|passphrase|secret|token|cookie|credential|api-?key", re.IGNORECASE
)
_SECRET_ATTRIBUTES = re.compile(r"passw|passphrase|token|credential|api-?key", re.IGNORECASE)
_SECRET_TEXTS = frozenset({"cookie", "dhCert", "session"})


def shown_lines(xml: str) -> tuple[str, ...]:
    """Return a definition line by line, to be read and compared by people.

    Without the fence, `<backingStore>` and comments; passwords and the like are hidden.
    """
    tree = load(xml)
    root = tree.getroot()
    remove_fence(root)
    for chain in root.findall("devices/disk/backingStore"):
        remove(chain)
    etree.strip_tags(root, etree.Comment, etree.ProcessingInstruction)
    for element in root.iter("*"):
        _hide(element)
        _close_up(element)
    etree.indent(root, space="  ")
    return tuple(etree.tostring(root, encoding="unicode").splitlines())


def _hide(element: etree._Element) -> None:
    name = etree.QName(element).localname
    for attribute in element.attrib:
        if _SECRET_ATTRIBUTES.search(str(attribute)):
            element.set(attribute, HIDDEN)
    free_text = " ".join(str(value) for value in element.attrib.values())
    if name in {"arg", "env"} and _SECRET_WORDS.search(free_text):
        element.set("value", HIDDEN)
    is_named_so = _SECRET_WORDS.search(name) is not None
    if (name in _SECRET_TEXTS or is_named_so) and (element.text or "").strip():
        element.text = HIDDEN


def _close_up(element: etree._Element) -> None:
    """Drop the white space between elements, which `indent` makes anew."""
    if len(element) and not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None
