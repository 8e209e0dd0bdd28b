"""Hooks as config.toml has them: they reach the operations, of each domain its own."""

import pytest

WEB = "vmsnap-test-web"
OTHER = "vmsnap-test-other"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write a config file with one hook: `config(when=..., script=..., ...)`."""

    def write(script, **keys):
        hook = tmp_path / "hook"
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)
        lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value!r}"
                 for key, value in keys.items()]  # fmt: skip
        path = tmp_path / "config.toml"
        path.write_text("\n".join(["[[hook]]", f'run = ["{hook}", "an argument"]', *lines]))
        monkeypatch.setenv("VMSNAP_CONFIG", str(path))

    return write


def test_a_hook_that_stops_is_one_error_with_its_own_status(vmsnap, host, config):
    config("echo $1; exit 1", when="before", on_failure="stop")
    run = vmsnap("--json", "snapshot", "create", WEB, status=17)
    assert (run.code, run.changed) == ("hook", False)
    run = vmsnap("-q", "snapshot", "create", WEB, status=17)
    assert run.out == ""
    assert run.err.startswith(f"error: snapshot create of domain '{WEB}': hook '")
    assert run.err.endswith("hook' ended with status 1: an argument\n")
    assert run.err.count("\n") == 1
    assert vmsnap("--json", "group", "list").data["groups"] == []


def test_what_a_hook_refused_is_told_by_the_log_file_and_not_by_the_history(
    vmsnap, host, config, log_file
):
    config("exit 1", when="before", on_failure="stop")
    vmsnap("snapshot", "create", WEB, status=17)
    assert "end: snapshot create status=17" in log_file.read_text()
    assert vmsnap("--json", "history", WEB).data["history"] == []


def test_a_hook_that_warns_is_one_warning(vmsnap, host, config, log_file):
    config("printf 'bad\\033[31m'; exit 1", when="after")
    run = vmsnap("-q", "snapshot", "create", WEB)
    assert run.err.count("\n") == 1
    assert run.err.startswith("warning: ")
    assert run.err.endswith("bad\\x1b[31m\n")
    assert "hook: bad\\x1b[31m" in log_file.read_text()


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_hook_is_warned_of_stands_in_the_document(vmsnap, host, config, when):
    config("exit 1", when=when)
    run = vmsnap("--json", "snapshot", "create", WEB)
    (warning,) = run.document["warnings"]
    assert run.document["errors"] == []
    assert warning.startswith(f"snapshot create of domain '{WEB}': hook '")
    assert run.err == f"warning: {warning}\n"


def test_a_hook_is_run_for_its_verbs_and_domains(vmsnap, host, config):
    config("exit 1", when="before", on_failure="stop", operations=["backup create"])
    vmsnap("snapshot", "create", WEB)
    vmsnap("backup", "create", WEB, status=17)
    config("exit 1", when="before", on_failure="stop", domains=["db*"])
    vmsnap("backup", "create", WEB)


def test_a_hook_has_its_time(vmsnap, host, config):
    config("sleep 60", when="before", on_failure="stop", timeout=1)
    run = vmsnap("--json", "snapshot", "create", WEB, status=17)
    assert "did not end within 1 second" in run.document["errors"][0]["message"]


def test_of_several_domains_each_has_its_hooks_and_one_that_stops_is_alone(
    vmsnap, host, config, tmp_path
):
    machine = next(iter(host.machines.values()))
    xml = machine.xml.replace(WEB, OTHER).replace("aaaaaaaa", "bbbbbbbb")
    for name in ("vda.qcow2", "vdb.raw", "nvram.fd"):
        (tmp_path / f"other-{name}").write_bytes((tmp_path / "host" / name).read_bytes())
        xml = xml.replace(f"{tmp_path}/host/{name}", f"{tmp_path}/other-{name}")
    host.add(xml)
    note = tmp_path / "note"
    config(
        f'echo "$VMSNAP_HOOK_DOMAIN" >> {note}; [ "$VMSNAP_HOOK_DOMAIN" != {OTHER} ]',
        when="before",
        on_failure="stop",
    )
    run = vmsnap("--json", "snapshot", "create", "--all", status=3)
    assert sorted(note.read_text().split()) == [OTHER, WEB]
    assert [error["code"] for error in run.document["errors"]] == ["hook"]
    assert [group["domain"] for group in run.data["groups"]] == [WEB]
