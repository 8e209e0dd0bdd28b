"""Real images, real files and real processes for the tests of the host's adapters."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers.required import skip_or_fail

from vmsnap.host.host_files import LocalHostFiles
from vmsnap.host.images import QemuImages
from vmsnap.model import HostFileType
from vmsnap.ports import HostFileSpec

DEADLINE_SECONDS = 20.0
KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Bench:
    """Makes images in a folder, writes to them and reads them, with the real programs."""

    folder: Path

    def make(
        self,
        name: str,
        size: int,
        *,
        format_: str = "qcow2",
        backing: Path | None = None,
        backing_format: str = "qcow2",
    ) -> Path:
        path = self.folder / name
        options = ["-b", str(backing), "-F", backing_format] if backing else []
        self.qemu_img("create", "-q", "-f", format_, *options, str(path), str(size))
        return path

    def write(
        self, path: Path, offset: int, length: int, byte: int, format_: str = "qcow2"
    ) -> None:
        command = f"write -P {byte} {offset} {length}"
        subprocess.run(
            ["qemu-io", "-f", format_, "-c", command, str(path)], check=True, capture_output=True
        )

    def leak(self, path: Path) -> None:
        """Add a cluster to a qcow2 image that nothing refers to, as a kill may."""
        size = path.stat().st_size
        with path.open("r+b") as file:
            table = int.from_bytes(file.read(64)[48:56], "big")
            file.seek(table)
            block = int.from_bytes(file.read(8), "big")
            file.truncate(size + 64 * 1024)
            file.seek(block + size // (64 * 1024) * 2)
            file.write((1).to_bytes(2, "big"))
        assert self.has_faults(path)

    def has_faults(self, path: Path) -> bool:
        """Whether qemu-img finds anything wrong with a qcow2 image."""
        command = ["qemu-img", "check", "-q", "-f", "qcow2", str(path)]
        return bool(subprocess.run(command, check=False, capture_output=True).returncode)

    def read(self, path: Path, format_: str = "qcow2") -> bytes:
        raw = self.folder / "as-read.raw"
        self.qemu_img("convert", "-U", "-f", format_, "-O", "raw", str(path), str(raw))
        content = raw.read_bytes()
        raw.unlink()
        return content

    def qemu_img(self, *arguments: str) -> str:
        result = subprocess.run(
            ["qemu-img", *arguments], check=True, capture_output=True, text=True
        )
        return result.stdout

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "images"
    folder.mkdir()
    return Bench(folder)


@pytest.fixture
def images() -> QemuImages:
    return QemuImages()


@pytest.fixture
def base(bench):
    path = bench.make("base.qcow2", 2 * MIB)
    bench.write(path, 0, 2 * MIB, 0x11)
    return path


@pytest.fixture
def overlay(bench, base):
    path = bench.make("overlay.qcow2", 3 * MIB, backing=base)
    bench.write(path, 64 * KIB, 64 * KIB, 0x22)
    return path


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_true():
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.01)

    return wait


@pytest.fixture
def python() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start Python programs beside the test; they are killed when it ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-c", program, *map(str, arguments)]
        process = subprocess.Popen(argv, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB, so that it can be filled."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "vmsnap-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        skip_or_fail("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def host_files():
    return LocalHostFiles()


@pytest.fixture
def nvram(tmp_path):
    path = tmp_path / "nvram" / "web_VARS.fd"
    path.parent.mkdir()
    path.write_bytes(b"variables" * 60_000)
    path.chmod(0o600)
    os.chown(path, 1234, 2345)
    return HostFileSpec(HostFileType.NVRAM, path)


@pytest.fixture
def tpm(tmp_path):
    path = tmp_path / "swtpm" / "a-uuid" / "tpm2"
    path.mkdir(parents=True)
    path.chmod(0o700)
    for name, data, mode in (
        ("tpm2-00.permall", b"tpm state" * 700, 0o600),
        ("tpm2-00.volatilestate", b"", 0o640),
        (".lock", b"", 0o640),
    ):
        (path / name).write_bytes(data)
        (path / name).chmod(mode)
        os.chown(path / name, 1234, 2345)
    os.chown(path, 1234, 2345)
    return HostFileSpec(HostFileType.TPM, path)


@pytest.fixture
def tpm_file(tmp_path):
    path = tmp_path / "state" / "web.tpm"
    path.parent.mkdir()
    path.write_bytes(b"swtpm's linear form" * 700)
    path.chmod(0o640)
    os.chown(path, 1234, 2345)
    return HostFileSpec(HostFileType.TPM, path, is_file=True)


@pytest.fixture(params=["nvram", "tpm", "tpm_file"])
def spec(request):
    return request.getfixturevalue(request.param)
