"""The program's entry: what needs no command line library is answered before one is imported."""

import os
import sys


def main() -> int:
    """Run one vmsnap command and return its exit status.

    Importing the command line takes five times as long as starting Python, so a lone `--version`
    and a shell that completes a name do without.
    """
    words = sys.argv[1:]
    if words[:1] == ["__complete"]:
        from vmsnap.cli.complete import complete

        # Not by sys.exit: the interpreter's own end takes a tenth of what a completion may.
        os._exit(complete(words[1:]))
    if words == ["--version"] and _has_printed_version():
        return 0
    return _run()


def _run() -> int:
    """Run the command line with the collector of garbage off: it looks at all that is imported.

    It took a sixth of the time of a short verb, half of that at the interpreter's end. A verb that
    begins to work switches it on again.
    """
    import gc

    gc.disable()
    from vmsnap.cli.main import main as run

    try:
        return run()
    finally:
        # What is frozen is passed over by the last collections.
        gc.freeze()


def _has_printed_version() -> bool:
    """Print the version; a stdout that cannot be written is left to those who can say so."""
    from vmsnap import __version__

    try:
        sys.stdout.write(f"vmsnap {__version__}\n")
        sys.stdout.flush()
    except (AttributeError, OSError):  # None: the caller closed it
        return False
    return True
