"""The text format of Prometheus: what is written is read again, by us and by others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from vmsnap.cli.monitoring.exposition import Family, samples_of, text_of

AGE = Family("vmsnap_age_seconds", "How old it is")


def parsed(text):
    """Read a text as Prometheus' own client does: name, labels and value of each sample."""
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def test_a_family_has_its_help_its_type_and_its_samples():
    family = AGE.with_samples([({"domain": "web1"}, 1.5), ({"domain": "web2"}, 3)])
    assert text_of([family]) == (
        "# HELP vmsnap_age_seconds How old it is.\n"
        "# TYPE vmsnap_age_seconds gauge\n"
        'vmsnap_age_seconds{domain="web1"} 1.5\n'
        'vmsnap_age_seconds{domain="web2"} 3\n'
    )


def test_a_family_without_samples_is_left_out():
    assert text_of([AGE]) == ""


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\\nb", "wéb", "日本", "a}b", "a,b", "a b", "a\u2028b", "a\x85b", "{}"]
)
def test_a_name_of_any_kind_is_one_label(name):
    text = text_of([AGE.with_samples([({"domain": name}, 1)])])
    assert parsed(text) == [("vmsnap_age_seconds", {"domain": name}, 1.0)]
    assert list(samples_of(text)) == ["vmsnap_age_seconds"]


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), min_size=1))
def test_what_was_written_is_read_again_and_written_the_same(name):
    family = AGE.with_samples([({"domain": name, "state": "x"}, 12.25), ({"domain": "y"}, -1)])
    text = text_of([family])
    again = Family(AGE.name, AGE.help, samples=samples_of(text)[AGE.name])
    assert text_of([again]) == text
    assert again.value({"domain": name, "state": "x"}) == 12.25
    assert (AGE.name, {"domain": name, "state": "x"}, 12.25) in parsed(text)


def test_what_is_no_sample_is_passed_over():
    """Somebody else may have written to the file."""
    text = 'evil{\nvmsnap_x{a="1"} one\nvmsnap_x 1 2 3\nrm -rf\nvmsnap_y{a="b"} 2\n\x00\n'
    assert samples_of(text) == {"vmsnap_y": {'{a="b"}': "2"}}


def test_one_sample_is_replaced_and_the_others_stay():
    family = AGE.with_samples([({"domain": "a"}, 1), ({"domain": "b"}, 2)])
    assert family.with_sample({"domain": "a"}, 5).value({"domain": "a"}) == 5
    assert family.with_sample({"domain": "a"}, 5).value({"domain": "b"}) == 2
    assert family.value({"domain": "c"}) == 0


def test_a_time_keeps_its_milliseconds():
    family = AGE.with_samples([({}, 1764383999.1234)])
    assert text_of([family]).splitlines()[-1] == "vmsnap_age_seconds 1764383999.123"
