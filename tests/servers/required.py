"""What a laptop may lack and CI may not: a skip there, a failure here."""

import os
from typing import NoReturn

import pytest

MUST_RUN_ALL = os.environ.get("VMSNAP_REQUIRE_LIVE") == "1"


def skip_or_fail(message: str) -> NoReturn:
    """Skip a test that cannot run; fail it where everything has to."""
    if MUST_RUN_ALL:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
