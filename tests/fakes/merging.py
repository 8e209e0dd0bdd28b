"""What libvirt's block jobs do to images, done by qemu-img: for the fake's `on_merge`."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from fakes.hypervisor import FakeHypervisor

from vmsnap.ports import LiveMerge, MergeKind


def merging_images(hypervisor: FakeHypervisor) -> Callable[[LiveMerge], None]:
    """Return the work of the block jobs of a fake hypervisor's domains."""

    def merge(order: LiveMerge) -> None:
        chain = _chain(hypervisor, order)
        if order.kind is MergeKind.PULL:
            backing = ("-b", order.base, *_format(order.base)) if order.base else ("-b", "")
            _qemu_img("rebase", "-f", "qcow2", *backing, order.top)
            return
        assert order.base is not None
        _qemu_img("commit", "-q", "-d", "-f", "qcow2", "-b", order.base, order.top)
        if order.kind is MergeKind.COMMIT:
            above = chain[chain.index(order.top) - 1]
            backing = ("-b", order.base, *_format(order.base))
            _qemu_img("rebase", "-u", "-f", "qcow2", *backing, above)

    return merge


def _chain(hypervisor: FakeHypervisor, order: LiveMerge) -> tuple[Path, ...]:
    chains = (machine.live_chains.get(order.target, ()) for machine in hypervisor.machines.values())
    return next(chain for chain in chains if order.top in chain)


def _format(path: Path) -> tuple[str, str]:
    return ("-F", "raw" if path.suffix == ".raw" else "qcow2")


def _qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)
