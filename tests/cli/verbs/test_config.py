"""`config show` says each value and where it came from."""

import os
from pathlib import Path

import pytest

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for
TEXT = f"""
wait = 60
database = "mysql://vmsnap:{SECRET}@db.example.org/vmsnap"
[defaults]
quiesce = "try"
keep_last = 3
[domain."web*"]
exclude = ["vdb", "vdc"]
keep_within = "30d"
[[hook]]
when = "before"
operations = ["snapshot create"]
run = ["/usr/local/bin/tell", "{SECRET}"]
on_failure = "stop"
[[hook]]
when = "after"
domains = ["db*"]
run = ["/usr/local/bin/clean"]
"""


@pytest.fixture
def own_file():
    """The own config file of whoever runs this."""
    path = Path(os.environ["HOME"], ".config/vmsnap/config.toml")
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    path.chmod(0o600)
    return path


def rows(found):
    """Map each key of some JSON rows to its value and source."""
    return {row["key"]: (row["value"], row["source"]) for row in found}


def test_each_value_says_where_it_came_from(vmsnap, own_file, monkeypatch):
    monkeypatch.setenv("VMSNAP_VERBOSE", "no")
    data = vmsnap("config", "show", "--json", "--metrics-file", "/x.prom").data
    assert rows(data["settings"]) == {
        "connect": ("qemu:///session", "environment VMSNAP_CONNECT"),
        "database": ("mysql://vmsnap:***@db.example.org/vmsnap", f"file {own_file}"),
        "json": (True, "command line"),
        "quiet": (False, "default"),
        "verbose": (False, "environment VMSNAP_VERBOSE"),
        "wait": (60, f"file {own_file}"),
        "metrics_file": ("/x.prom", "command line"),
    }
    assert data["files"] == [{"path": str(own_file), "is_there": True}]


def test_a_file_for_figures_may_be_typed_from_the_folder_that_one_is_in(
    vmsnap, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    data = vmsnap("config", "show", "--json", "--metrics-file", "x.prom").data
    assert rows(data["settings"])["metrics_file"] == (f"{tmp_path}/x.prom", "command line")


def test_without_a_domain_each_table_is_shown(vmsnap, own_file):
    data = vmsnap("config", "show", "--json").data
    assert data["domain"] is None
    shown = rows(data["domain_settings"])
    assert shown["quiesce"] == ("try", f"file {own_file} [defaults]")
    assert shown["exclude"] == ([], "default")
    source = f'file {own_file} [domain."web*"]'
    assert data["sections"] == [
        {"pattern": "web*", "key": "exclude", "value": ["vdb", "vdc"], "source": source},
        {"pattern": "web*", "key": "keep_within", "value": "30d", "source": source},
    ]
    assert [hook["program"] for hook in data["hooks"]] == [
        "/usr/local/bin/tell",
        "/usr/local/bin/clean",
    ]


def test_with_a_domain_what_holds_for_it_is_shown(vmsnap, own_file):
    data = vmsnap("config", "show", "web1", "--json").data
    shown = rows(data["domain_settings"])
    assert shown["exclude"] == (["vdb", "vdc"], f'file {own_file} [domain."web*"]')
    assert shown["keep_last"] == (3, f"file {own_file} [defaults]")
    assert (data["domain"], data["sections"]) == ("web1", [])
    assert [hook["source"] for hook in data["hooks"]] == [f"file {own_file} [[hook]] 1"]


def test_a_person_reads_it_as_tables(vmsnap, own_file):
    lines = vmsnap("config", "show", "web1").out.splitlines()
    assert lines[:2] == [
        "CONFIG FILE".ljust(len(str(own_file))) + "  STATE",
        f"{own_file}  read",
    ]
    words = [line.split() for line in lines]
    assert ["wait", "60", "file", str(own_file)] in words
    assert ["verbose", "false", "default"] in words
    assert "for domain 'web1':" in lines
    assert ["exclude", "vdb,", "vdc", "file", str(own_file), '[domain."web*"]'] in words
    assert ["max_age", "none", "default"] in words
    tell = ["before", "/usr/local/bin/tell", "snapshot", "create", "all", "stop", "60", "s"]
    assert [*tell, "file", str(own_file), "[[hook]]", "1"] in words


def test_files_that_are_not_there_are_named(vmsnap):
    path = Path(os.environ["HOME"], ".config/vmsnap/config.toml")
    assert f"{path}  not there" in vmsnap("config", "show").out.splitlines()


@pytest.mark.parametrize("words", [(), ("--json",), ("web1",)])
def test_neither_passwords_nor_what_hooks_are_given_are_shown(vmsnap, own_file, words):
    run = vmsnap("config", "show", *words)
    assert SECRET not in run.out + run.err


def test_it_needs_neither_libvirt_nor_the_database(process, own_file):
    run = process("config", "show", "web1", env={"PATH": ""})
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"db.example.org" in run.stdout


def test_a_file_that_is_wrong_is_refused_by_name(vmsnap, own_file):
    own_file.write_text("patience = 1\n")
    run = vmsnap("config", "show", status=10)
    assert run.err.startswith(f"error: config file '{own_file}' has the unknown key 'patience'\n")


def test_what_holds_without_a_setting_is_said_in_words(vmsnap):
    """A dash would say that safety groups are kept for ever."""
    rows = [line.split(maxsplit=1) for line in vmsnap("config", "show").out.splitlines()]
    shown = {row[0]: row[1] for row in rows if len(row) > 1}
    assert shown["keep_safety"].split() == ["14d", "default"]
    assert shown["keep_last"].split() == ["no", "such", "rule", "default"]
    assert shown["overlay_dir"].startswith("beside the images")


def test_keep_safety_says_the_limit_that_holds_also_where_none_is_set(vmsnap, own_file):
    shown = rows(vmsnap("config", "show", "--json").data["domain_settings"])
    assert (shown["keep_safety"], shown["keep_daily"]) == (("14d", "default"), (None, "default"))
    own_file.write_text('[defaults]\nkeep_safety = "none"\n[domain."web"]\nkeep_safety = "2d"\n')
    shown = rows(vmsnap("config", "show", "--json").data["domain_settings"])
    assert shown["keep_safety"][0] == "14d"
    shown = rows(vmsnap("config", "show", "web", "--json").data["domain_settings"])
    assert shown["keep_safety"][0] == "2d"
