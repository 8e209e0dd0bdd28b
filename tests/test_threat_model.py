"""docs/threat-model.md names a test for each claim; those tests exist."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "threat-model.md"


def test_every_test_that_the_threat_model_names_exists():
    named = set(re.findall(r"`([\w/]*test_\w+\.py)`", PAGE.read_text()))
    assert len(named) > 8
    for name in named:
        path = TESTS.parent / name if "/" in name else TESTS / "host" / name
        assert path.is_file(), f"{name} is gone"
