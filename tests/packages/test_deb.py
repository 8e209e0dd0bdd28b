"""The Debian package installs into an empty Debian, works there, and leaves the user's data."""

import re
from pathlib import Path

import pytest

import vmsnap

pytestmark = pytest.mark.suites

ROOT = Path(__file__).resolve().parents[2]
# What lintian may say, and why it is left: CONTRIBUTING.md.
LEFT_OF_LINTIAN: set[str] = set()
PLACES = {
    "man/*.1": "/usr/share/man/man1/{}.gz",
    "man/*.5": "/usr/share/man/man5/{}.gz",
    "completions/*.bash": "/usr/share/bash-completion/completions/vmsnap",
    "completions/_*": "/usr/share/zsh/vendor-completions/{}",
    "completions/*.fish": "/usr/share/fish/vendor_completions.d/{}",
    "vmsnap/data/*.service": "/usr/lib/systemd/system/{}",
    "vmsnap/data/*.timer": "/usr/lib/systemd/system/{}",
}


@pytest.fixture(scope="module")
def package(empty_machine, tmp_path_factory):
    """The package that `make deb` builds on a machine of its own, and what was said meanwhile."""
    builder = empty_machine()
    builder.take_clone()
    said = builder.run("packaging/build-deb.sh")
    (built,) = builder.clone.glob("dist/*.deb")
    copy = tmp_path_factory.mktemp("package") / built.name
    copy.write_bytes(built.read_bytes())
    builder.end()
    return copy, said


@pytest.fixture(scope="module")
def installed(empty_machine, package):
    """A machine on which the package was installed, and a page of the manual can be read."""
    machine = empty_machine()
    built, _ = package
    (machine.root / "root" / built.name).write_bytes(built.read_bytes())
    machine.install(f"/root/{built.name}", "man-db")
    return machine


def test_lintian_says_nothing_else(package):
    _, said = package
    assert set(re.findall(r"^[EW]: vmsnap[^:]*: ([\w-]+)", said, re.MULTILINE)) == LEFT_OF_LINTIAN


def test_it_is_there_in_its_version(installed):
    assert installed.run("vmsnap --version") == f"vmsnap {vmsnap.__version__}\n"


def test_it_lists_the_machines_of_a_libvirt(installed):
    installed.start_libvirt()
    assert "no domain" in installed.run("vmsnap vm list")


def test_what_it_holds_is_where_debian_looks(installed):
    expected = {
        place.format(path.name) for pattern, place in PLACES.items() for path in ROOT.glob(pattern)
    }
    missing = [
        path for path in sorted(expected) if not (installed.root / path.lstrip("/")).exists()
    ]
    assert not missing


def test_every_page_of_the_manual_is_read_without_a_warning(installed):
    for page in sorted(ROOT.glob("man/*.[15]")):
        name, _, section = page.name.rpartition(".")
        command = f"MANWIDTH=80 man --warnings {section} {name} 2>&1 >/dev/null"
        assert installed.run(command) == ""


def test_every_shell_finds_its_completion(installed):
    said = installed.completions("bash-completion", "zsh", "fish")
    assert {shell for shell, words in said.items() if "snap" in words} == set(said)


def test_the_example_of_settings_can_be_used_key_by_key(installed):
    example = "/usr/share/doc/vmsnap/examples/config.toml"
    settings = "/etc/vmsnap/config.toml"
    # A comment with a blank explains; one without is a key, or the title of a table.
    installed.run(f"mkdir -p /etc/vmsnap && sed -n 's/^#\\([^ ]\\)/\\1/p' {example} >{settings}")
    installed.run(f"sed -i '/^connect = /d; /^database = /d' {settings} && vmsnap db status")
    installed.run(f"rm {settings}")


def test_no_other_folder_decides_what_root_imports(installed):
    installed.run("mkdir -p /tmp/evil/vmsnap && echo 'raise SystemExit(9)' >/tmp/evil/typer.py")
    said = installed.run("cd /tmp/evil && PYTHONPATH=/tmp/evil vmsnap --help")
    assert "Usage" in said


def test_modules_are_compiled_when_it_is_installed(installed):
    assert list((installed.root / "usr/lib/vmsnap/vmsnap/cli/__pycache__").glob("main.*.pyc"))


def test_it_says_what_of_others_it_holds(installed):
    held = installed.run("cat /usr/share/doc/vmsnap/vendored").splitlines()
    folders = list((installed.root / "usr/lib/vmsnap").glob("*.dist-info"))
    names = {folder.name.partition("-")[0].lower().replace("_", "-") for folder in folders}
    assert {line.split()[0] for line in held} == names - {"vmsnap"}
    assert all(list(folder.rglob("LICENSE*")) for folder in folders)


def test_nothing_is_enabled_unasked(installed):
    enabled = (installed.root / "etc/systemd/system").glob("*.wants/vmsnap*")
    assert not list(enabled)


def test_its_units_can_be_written_into_another_folder_too(installed):
    assert "from the package" in installed.run("vmsnap install-units", status=14)
    installed.run("mkdir /tmp/units && vmsnap install-units --force --dir /tmp/units")
    written = {path.name for path in (installed.root / "tmp/units").iterdir()}
    assert written == {path.name for path in (ROOT / "vmsnap/data").glob("vmsnap-*")}


def test_a_purge_leaves_the_users_data_and_says_so(installed):
    kept = [installed.root / "var/lib/vmsnap/vmsnap.db", installed.root / "etc/vmsnap/config.toml"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("the user's")
    installed.run("apt-get remove -q vmsnap")
    assert "left as they are" in installed.run("apt-get purge -q vmsnap")
    assert all(path.read_text() == "the user's" for path in kept)
    for gone in ("usr/lib/vmsnap", "usr/bin/vmsnap", "usr/share/doc/vmsnap", "var/log/vmsnap"):
        assert not (installed.root / gone).exists()
