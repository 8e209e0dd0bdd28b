"""The table of steps is complete, so that every journal can be read."""

import importlib
import pkgutil

import vmsnap.engine.steps
from vmsnap.engine.steps.all import STEPS


def test_every_step_is_in_the_table_by_its_kind():
    found = set()
    for module in pkgutil.iter_modules(vmsnap.engine.steps.__path__):
        names = vars(importlib.import_module(f"vmsnap.engine.steps.{module.name}"))
        found |= {
            item for item in names.values() if isinstance(item, type) and hasattr(item, "is_commit")
        }
    steps = {item for item in found if item.__name__ != "Step"}
    assert set(STEPS.values()) == steps
    assert len({step.kind for step in steps}) == len(steps)


def test_only_the_commits_are_commits():
    assert {kind for kind, step in STEPS.items() if step.is_commit} == {"commit", "commit_group"}
