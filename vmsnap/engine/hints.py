"""Names as they stand in the commands of hints, so that these can be pasted into a shell."""

import shlex

from vmsnap.model import Domain, DomainState


def operands(*names: str) -> str:
    """Quote names for the end of a command line, behind its options.

    `--` goes before them if one would be taken for an option: libvirt allows a leading dash.
    """
    words = ("--", *names) if any(name.startswith("-") for name in names) else names
    return shlex.join(words)


def turning_off(domain: Domain) -> str:
    """Return what turns a domain off; the guest of one that is paused could not hear of it."""
    name = operands(domain.name)
    off = f"virsh shutdown {name}"
    return f"virsh resume {name} && {off}" if domain.state is DomainState.PAUSED else off
