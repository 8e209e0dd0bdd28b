"""`python -m vmsnap`: the same as the program `vmsnap`."""

import sys

from vmsnap.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
