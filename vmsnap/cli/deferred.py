"""Modules that a library imports for what vmsnap never asks of it: loaded if something does ask."""

import importlib.util
import sys
import threading
from types import ModuleType

_LOCK = threading.RLock()
_PENDING = "__vmsnap_pending__"


class _Deferred(ModuleType):
    """Stands in for a module until an attribute is asked of it; then it becomes that module."""

    def __getattr__(self, name: str) -> object:
        # Called only for what is not there; a second thread waits until all is.
        with _LOCK:
            if self.__dict__.pop(_PENDING, False):
                spec = self.__spec__
                if spec is not None and spec.loader is not None:
                    spec.loader.exec_module(self)
        return ModuleType.__getattribute__(self, name)


def defer(name: str) -> None:
    """Let imports of a module inside a package be free; one that was imported stays as it is."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__dict__[_PENDING] = True
    module.__class__ = _Deferred
    sys.modules[name] = module
    package, _, own_name = name.rpartition(".")
    setattr(sys.modules[package], own_name, module)
