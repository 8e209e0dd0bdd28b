"""Let the tests of the torture use the bed of the live ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
