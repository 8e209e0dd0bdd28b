"""`python -m vmsnap.cli.manual FOLDER`: write completions/ and man/ below a folder anew."""

import sys
from pathlib import Path

from vmsnap.cli.manual.pages import pages


def write(root: Path) -> None:
    """Write all pages; those of verbs that are no more are removed."""
    written = pages()
    for folder in {(root / name).parent for name in written}:
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if str(path.relative_to(root)) not in written:
                path.unlink()
    for name, text in written.items():
        (root / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
