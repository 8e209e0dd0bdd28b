"""A port that fails on call, and is otherwise the real one."""

from collections.abc import Callable
from typing import Any


class Failing:
    """Stands before a port; at one call of `method` it runs `callback`, which may raise.

    The call is the one after `skip` others, and those that follow, `times` in all; the callback
    runs before its effect, or after it.
    """

    def __init__(
        self,
        real: Any,
        method: str,
        callback: Callable[[], object],
        *,
        skip: int = 0,
        is_after: bool = False,
        times: int = 1,
    ) -> None:
        self._real = real
        self._method = method
        self._callback = callback
        self._left = skip
        self._is_after = is_after
        self._times = times
        assert hasattr(real, method)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        return self._watched(real) if name == self._method else real

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            is_now = -self._times <= self._left < 0
            if is_now and not self._is_after:
                self._callback()
            result = real(*arguments, **named)
            if is_now and self._is_after:
                self._callback()
            return result

        return call


def raising(error: BaseException) -> Callable[[], None]:
    """Return a callback that raises."""

    def raise_it() -> None:
        raise error

    return raise_it
