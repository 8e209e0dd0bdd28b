"""Modules that are loaded when something is asked of them; each in an interpreter of its own."""

import subprocess
import sys

import pytest

BEGIN = """
import sys
from vmsnap.cli.deferred import defer
assert "email" not in sys.modules
defer("importlib.metadata")
"""
ENDS = {
    "an import in any words loads nothing": """
import importlib.metadata
import importlib.metadata as other
from importlib import metadata
assert metadata is other is sys.modules["importlib.metadata"]
assert "email" not in sys.modules
""",
    "what is asked of it is there": """
from importlib import metadata
assert metadata.version("vmsnap")
assert "email" in sys.modules
""",
    "a name is imported from it": """
from importlib.metadata import EntryPoint, version
assert EntryPoint.__module__ == "importlib.metadata"
assert version is sys.modules["importlib.metadata"].version
""",
    "what it lacks is said as of any module": """
import importlib.metadata
try:
    importlib.metadata.nonsense
except AttributeError as error:
    assert str(error) == "module 'importlib.metadata' has no attribute 'nonsense'", error
else:
    raise AssertionError
""",
    "a module inside it can be imported": """
import importlib.metadata._text
from importlib.metadata import version
assert version("vmsnap")
""",
    "threads that ask at once all wait for the whole": """
import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-6)
names = ["version", "entry_points", "EntryPoint", "PackageNotFoundError"] * 8
with ThreadPoolExecutor(32) as pool:
    found = list(pool.map(lambda name: getattr(importlib.metadata, name), names))
assert found[:4] * 8 == found
""",
    "one that was imported stays": """
import importlib.metadata
real = importlib.metadata.EntryPoint
defer("importlib.metadata")
assert importlib.metadata.EntryPoint is real
""",
    "one that is not there is not made up": """
defer("importlib.nonsense")
assert "importlib.nonsense" not in sys.modules
""",
}


@pytest.mark.parametrize("what", ENDS)
def test_a_deferred_module_is_the_module_itself_as_soon_as_it_is_used(what):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + ENDS[what]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
