"""Empty machines of several suites of Debian, to install packages on."""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("bookworm", "trixie")
CLONE = "root/vmsnap"
# What a login shell of root has, and nobody who answers debconf.
ENVIRONMENT = (
    *("env", "-i", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"),
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)

# How each shell is asked whether it finds a completion for vmsnap; what it says holds the name.
ASKED = {
    "bash-completion": "bash -c '. /usr/share/bash-completion/bash_completion;"
    " _comp_load vmsnap || _completion_loader vmsnap; complete -p vmsnap' 2>/dev/null",
    "zsh": "zsh -c 'autoload -U compinit; compinit -D; echo $_comps[vmsnap]'",
    "fish": "fish -c 'complete -C \"vmsnap \"'",
}


class EmptyMachine:
    """A Debian with its smallest set of packages; what is done to it ends with it."""

    def __init__(self, suite: str) -> None:
        script = Path(__file__).parent / "in-empty-suite.sh"
        self._process = subprocess.Popen(
            [script, suite, "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        pid = self._process.pid
        (self._inner,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.root = Path(f"/proc/{self._inner}/root")
        self.clone = self.root / CLONE
        self.clone.mkdir()

    def end(self) -> None:
        """End all that runs on the machine, and with it the machine."""
        self._process.kill()
        self._process.communicate()

    def run(self, command: str, *, status: int = 0) -> str:
        """Run a line of shell in the clone's folder; return all that it said."""
        there = ("nsenter", f"--target={self._inner}", "--mount", "--pid", "--root", "--wd")
        done = subprocess.run(
            [*there, *ENVIRONMENT, "sh", "-c", f"cd /{CLONE} && {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}"
        return done.stdout

    def install(self, *packages: str) -> str:
        """Install packages and what they need, but not what they recommend."""
        names = shlex.join(packages)
        return self.run(f"apt-get update -q && apt-get install -q --no-install-recommends {names}")

    def start_libvirt(self) -> None:
        """Install libvirt and start its daemon, away from this machine's network."""
        self.install("libvirt-daemon-system", "libvirt-clients")
        self.run("for name in virtlogd libvirtd; do unshare --net $name -d >/dev/null 2>&1; done")
        self.run("until timeout 2 virsh -q list >/dev/null 2>&1; do sleep 0.2; done")

    def completions(self, *shells: str) -> dict[str, str]:
        """Install shells, and return what each says when vmsnap is to be completed."""
        self.install(*shells)
        return {shell: self.run(ASKED[shell]) for shell in shells}

    def take_clone(self) -> None:
        """Copy the clone to the machine, as git would clone it with what is not committed yet."""
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
        pack = ["tar", "--create", "--null", "--files-from=-"]
        archive = subprocess.run(pack, cwd=ROOT, input=names, capture_output=True, check=True)
        unpack = ["tar", "--extract", "--no-same-owner"]
        subprocess.run(unpack, cwd=self.clone, input=archive.stdout, check=True)


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """The name of a suite of Debian."""
    return str(request.param)


@pytest.fixture(scope="module")
def empty_machine(suite: str) -> Iterator[Callable[[], EmptyMachine]]:
    """Make machines of that suite, for the tests of one file."""
    made: list[EmptyMachine] = []

    def make() -> EmptyMachine:
        made.append(EmptyMachine(suite))
        return made[-1]

    yield make
    for each in made:
        each.end()
