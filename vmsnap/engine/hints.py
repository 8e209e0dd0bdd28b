"""Names as they stand in the commands of hints, so that these can be pasted into a shell."""

import shlex


def operands(*names: str) -> str:
    """Quote names for the end of a command line, behind its options.

    `--` goes before them if one would be taken for an option: libvirt allows a leading dash.
    """
    words = ("--", *names) if any(name.startswith("-") for name in names) else names
    return shlex.join(words)
