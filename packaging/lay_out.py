"""Lay out the Debian package: vmsnap in a private folder, with what the suite lacks of Python.

Called by debian/rules, in the unpacked source, as

    packaging/lay_out.py ROOT SUBSTVARS

What vmsnap requires and the suite's own python3-… packages satisfy becomes `${vmsnap:Depends}` in
the file SUBSTVARS; all else is fetched with pip and lies beside vmsnap in /usr/lib/vmsnap. What
that is, in which version and under which licence, is written to /usr/share/doc/vmsnap/vendored.
"""

import platform
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PRIVATE = Path("usr/lib/vmsnap")
DOCUMENTS = Path("usr/share/doc/vmsnap")
# Debian names a package after what is imported.
DEBIAN_NAMES = {"libvirt-python": "python3-libvirt"}
EXTRA = "mysql"
# The debhelper of Debian 12 looks for units only where they were before /usr was merged.
_IS_DEBIAN_12 = platform.freedesktop_os_release().get("VERSION_ID") == "12"
UNITS = "lib/systemd/system" if _IS_DEBIAN_12 else "usr/lib/systemd/system"
# Where the wheel puts a file, and where Debian looks for it.
PLACES = {
    "share/man/man1/*": "usr/share/man/man1/{}",
    "share/man/man5/*": "usr/share/man/man5/{}",
    "share/bash-completion/completions/vmsnap.bash": "usr/share/bash-completion/completions/vmsnap",
    "share/zsh/site-functions/*": "usr/share/zsh/vendor-completions/{}",
    "share/fish/vendor_completions.d/*": "usr/share/fish/vendor_completions.d/{}",
    "vmsnap/data/*.service": f"{UNITS}/{{}}",
    "vmsnap/data/*.timer": f"{UNITS}/{{}}",
}
# Of the builder's machine and of pip: they would differ from build to build.
OF_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "top_level.txt")
SCRIPT = """\
#!/usr/bin/python3 -I
# -I: neither the caller's environment nor the folder it stands in decides what root imports.
import sys

sys.path.insert(0, "/{private}")

from {module} import {function}

sys.exit({function}())
"""


def install(folder: Path, *what: str) -> None:
    """Put one Python package, without what it requires, into a folder."""
    command = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade")
    subprocess.run([sys.executable, *command, "--target", folder, *what], check=True)


def vendor(folder: Path, name: str, specifier: SpecifierSet) -> None:
    """Fetch a package that is pure Python, so that the package fits every architecture."""
    pure = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none")
    install(folder, *pure, f"{name}{specifier}")


def installed(folder: Path) -> dict[str, Distribution]:
    """Return the packages that lie in a folder, by name."""
    found = [PathDistribution(path) for path in sorted(folder.glob("*.dist-info"))]
    return {canonicalize_name(item.metadata["Name"]): item for item in found}


def requirements(package: Distribution, extra: str = "") -> Iterator[Requirement]:
    """Yield what a package requires on this Python, with one of its extras."""
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def debian_name(name: str) -> str:
    """Return what Debian calls a Python package."""
    return DEBIAN_NAMES.get(name, f"python3-{name}")


def suite_version(name: str) -> Version | None:
    """Return the version of a Python package that apt would install, None if there is none."""
    command = ["apt-cache", "show", "--no-all-versions", debian_name(name)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"^Version: (?:\d+:)?([\d.]+)", said, re.MULTILINE)
    try:
        return Version(found.group(1)) if found else None
    except InvalidVersion:
        return None


def choose(folder: Path) -> dict[str, SpecifierSet]:
    """Vendor what the suite lacks or has too old; return what it has, and which will do."""
    wanted: dict[str, SpecifierSet] = {}
    pending = list(requirements(installed(folder)["vmsnap"], EXTRA))
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        wanted[name] = wanted.get(name, SpecifierSet()) & requirement.specifier
        here = installed(folder).get(name)
        if here is None and (version := suite_version(name)) and version in wanted[name]:
            continue
        if here is None or here.version not in wanted[name]:
            vendor(folder, name, wanted[name])
            pending += requirements(installed(folder)[name])
    return {name: wanted[name] for name in sorted(wanted.keys() - installed(folder).keys())}


def depends(name: str, specifier: SpecifierSet) -> str:
    """Return a package of the suite as a dependency, with its lowest version."""
    lowest = [Version(item.version) for item in specifier if item.operator == ">="]
    return f"{debian_name(name)} (>= {max(lowest)})" if lowest else debian_name(name)


def put_in_place(root: Path) -> None:
    """Copy manual pages, completions and units to where Debian looks for them."""
    for source, place in PLACES.items():
        for path in sorted((root / PRIVATE).glob(source)):
            target = root / place.format(path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def clean(folder: Path) -> None:
    """Remove what nobody looks for in a private folder: scripts, pages, and notes of pip."""
    for name in ("bin", "share"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("*.dist-info/*"):
        if path.name in OF_PIP:
            path.unlink()


def write_script(root: Path) -> None:
    """Write the program that calls the entry point of pyproject.toml."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    for name, entry in project["scripts"].items():
        module, function = entry.split(":")
        script = root / "usr/bin" / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(SCRIPT.format(private=PRIVATE, module=module, function=function))
        script.chmod(0o755)


def write_example(root: Path) -> None:
    """Write settings to copy from, each as a comment, out of the table that describes them."""
    reference = runpy.run_path(str(root / PRIVATE / "vmsnap/config/reference.py"))
    lines = ["# Settings that /etc/vmsnap/config.toml may hold; see vmsnap.conf(5).", ""]
    table = ""
    for key in reference["KEYS"]:
        if key.table != table:
            table = key.table
            lines += [f"#{reference['TITLES'][table]}", ""]
        lines += [f"# {key.meaning} ({key.default})", f"#{key.example}", ""]
    page = root / DOCUMENTS / "examples/config.toml"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines))


def write_list(root: Path) -> None:
    """Write down what is vendored."""
    packages = installed(root / PRIVATE)
    del packages["vmsnap"]
    lines = [f"{name} {item.version}, {licence(item)}\n" for name, item in sorted(packages.items())]
    page = root / DOCUMENTS / "vendored"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("".join(lines) or "nothing: this suite has all that vmsnap requires\n")


def licence(package: Distribution) -> str:
    """Return a package's licence by its own words."""
    said = package.metadata["License-Expression"] or package.metadata["License"]
    if said and "\n" not in said:
        return str(said)
    classifiers = package.metadata.get_all("Classifier") or ()
    found = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return ", ".join(found) or "see its dist-info folder"


def main() -> None:
    """Lay out the package below a root folder."""
    root, substvars = Path(sys.argv[1]), Path(sys.argv[2])
    folder = root / PRIVATE
    install(folder, ".")
    put_in_place(root)
    found = choose(folder)
    clean(folder)
    write_script(root)
    write_example(root)
    write_list(root)
    with substvars.open("a") as stream:
        stream.write(f"vmsnap:Depends={', '.join(depends(*item) for item in found.items())}\n")


if __name__ == "__main__":
    main()
