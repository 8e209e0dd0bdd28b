"""An ordinary user of the private host: an account, a home, and a session libvirtd of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from livebed.command import Vmsnap
from livebed.machine import Hardware, Machine, VirshError

NAME = "vmsnap-test-user"
ID = 4321
SESSION = "qemu:///session"
ROOT_HOME = Path("/run/vmsnap-test-root")


class User:
    """The account; `groups` are those that its commands run with besides its own."""

    def __init__(self, groups: tuple[int, ...] = ()) -> None:
        self.home = Path("/home") / NAME
        self.runtime = Path("/run/user") / str(ID)
        self.groups = groups

    def environment(self) -> dict[str, str]:
        """Return what a login of theirs has in its environment."""
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.home),
            "USER": NAME,
            "XDG_RUNTIME_DIR": str(self.runtime),
        }

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs words as this user."""
        groups = ",".join(str(group) for group in self.groups)
        option = ("--groups", groups) if groups else ("--clear-groups",)
        return ["setpriv", "--reuid", str(ID), "--regid", str(ID), *option, "--", *words]

    def run(self, *words: str) -> str:
        """Run a command as this user and return what it prints; raise if it fails."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            env=self.environment(),
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            raise VirshError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def virsh(self, *words: str) -> str:
        """Run virsh on this user's session."""
        return self.run("virsh", "-q", "-c", SESSION, *words)

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Run the session's libvirtd for the length of a `with` block."""
        self.run("libvirtd", "-d")
        pid = int((self.runtime / "libvirt/libvirtd.pid").read_text())
        try:
            yield
        finally:
            os.kill(pid, signal.SIGTERM)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.05)


@contextlib.contextmanager
def account() -> Iterator[None]:
    """Add the account, its home and its runtime folder, for the length of a `with` block.

    The host's /etc is the machine's own: the files of accounts are hidden behind others, in which
    root has a home of its own, too.
    """
    passwd, group = Path("/etc/passwd"), Path("/etc/group")
    of_root = passwd.read_text().replace(":/root:", f":{ROOT_HOME}:", 1)
    _hide(passwd, f"{of_root}{NAME}:x:{ID}:{ID}::/home/{NAME}:/bin/sh\n")
    _hide(group, f"{group.read_text()}{NAME}:x:{ID}:\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/home"], check=True)
    user = User()
    try:
        for folder in (user.home, user.runtime):
            folder.parent.mkdir(mode=0o755, exist_ok=True)
            folder.mkdir(mode=0o700)
            os.chown(folder, ID, ID)
        yield
    finally:
        shutil.rmtree(user.runtime, ignore_errors=True)
        shutil.rmtree(ROOT_HOME, ignore_errors=True)
        for path in ("/home", passwd, group):
            subprocess.run(["umount", "-l", str(path)], check=True)


def _hide(path: Path, text: str) -> None:
    other = Path("/run") / f"vmsnap-test-{path.name}"
    other.write_text(text)
    subprocess.run(["mount", "--bind", str(other), str(path)], check=True)


class UserVmsnap(Vmsnap):
    """Vmsnap as the user runs it: with no settings but those in `more`."""

    def __init__(self, user: User, **more: str) -> None:
        super().__init__(user.home / "unused.db")
        self._user = user
        self._more = more

    def command(self, *arguments: str) -> list[str]:
        """Return the command line for a process of the test's own."""
        return self._user.command(*super().command(*arguments))

    def environment(self) -> dict[str, str]:
        """Return the environment for a process of the test's own."""
        return {**self._user.environment(), **self._more}


class UserMachine(Machine):
    """A domain of the user's session, with all of its files in the user's folders."""

    def __init__(self, user: User) -> None:
        self._user = user
        libvirt = user.home / ".config/libvirt/qemu"
        name = "vmsnap-test-own"
        nvram = libvirt / "nvram" / f"{name}_VARS.fd"
        super().__init__(Hardware(nvram_path=nvram, disk_mib=4), name)
        self.folder = user.home / "images"
        self.console = self.folder / "console.log"
        self._swtpm = libvirt / "swtpm"

    def create(self) -> None:
        """Make the folder and the disks, and define the domain."""
        self._user.run("mkdir", str(self.folder))
        for target, format_ in zip(self.targets, self.hardware.disks, strict=True):
            size = f"{self.hardware.disk_mib}M"
            path = str(self.original(target))
            self._user.run("qemu-img", "create", "-q", "-f", format_, path, size)
        self.define(self.xml())

    def remove(self) -> None:
        """Remove the domain; its files go with the home."""
        with contextlib.suppress(VirshError):
            self._user.virsh("destroy", self.name)
        self._user.virsh("undefine", self.name, "--nvram")

    def define(self, xml: str) -> None:
        """Define a domain from XML, or define this one anew."""
        file = self._user.runtime / "define.xml"
        file.write_text(xml)
        file.chmod(0o644)
        self._user.virsh("define", str(file))
        file.unlink()

    def definition(self) -> str:
        """Return the inactive definition, with its secrets."""
        return self._user.virsh("dumpxml", self.id, "--inactive", "--security-info")

    def start(self, *options: str) -> None:
        """Start the machine."""
        self._user.virsh("start", self.id, *options)

    def destroy(self) -> None:
        """Stop the machine at once."""
        self._user.virsh("destroy", self.id)

    @property
    def tpm(self) -> Path:
        """Return the directory of the TPM's state."""
        return self._swtpm / self.id / "tpm2"

    @property
    def disks(self) -> Mapping[str, Path]:
        """Return what the definition says that each disk uses now, by target."""
        lines = self._user.virsh("domblklist", self.id, "--inactive").splitlines()
        return {target: Path(path) for target, path in (line.split(None, 1) for line in lines)}

    def write(self, target: str, pattern: int) -> None:
        """Fill the beginning of a disk, as the guest would; the machine must be off."""
        self._io(target, f"write -q -P {pattern} 0 64k")

    def has(self, target: str, pattern: int) -> bool:
        """Tell whether the beginning of a disk is as `write` leaves it."""
        try:
            self._io(target, f"read -q -P {pattern} 0 64k")
        except VirshError:
            return False
        return True

    def _io(self, target: str, order: str) -> None:
        # It prints what it finds and fails; -f of the overlay, or of the original image.
        out = self._user.run("qemu-io", "-f", "qcow2", "-c", order, str(self.disks[target]))
        if "verification failed" in out:
            raise VirshError(out)
