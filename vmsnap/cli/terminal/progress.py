"""How far a long step is: its share, bytes, rate and time left, in words and as a bar."""

from collections import deque

from vmsnap.cli.terminal.text import duration, size

_BAR_CELLS = 20
# The rate of the last while: what a merge did an hour ago says little of what it does now.
_WINDOW_SECONDS = 15.0


class Meter:
    """Measures one long step by what is told of it; times in seconds of one clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def update(self, now: float, done: int, total: int) -> None:
        """Take in how many bytes of how many are done; fewer than before means a new start."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._total = max(total, 0)
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW_SECONDS:  # noqa: PLR2004 - a rate needs two
            self._samples.popleft()

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        if not self._samples or self._total == 0:
            return 0.0 if self._total else 1.0
        return min(self._samples[-1][1] / self._total, 1.0)

    @property
    def rate(self) -> float | None:
        """Bytes per second of late; None as long as nothing can be said."""
        (began, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - began) if now > began and last > first else None

    def bar(self) -> str:
        """Draw a bar: `[=====>    ]`."""
        filled = int(self.share * _BAR_CELLS)
        tip = ">" if filled < _BAR_CELLS else ""
        return f"[{'=' * filled}{tip}".ljust(_BAR_CELLS + 1) + "]"

    def words(self) -> str:
        """Say `45%, 1.2 GiB of 2.7 GiB, 120.0 MiB/s, 12.8 s left`."""
        parts = [f"{int(100 * self.share)}%"]
        if self._total:
            parts.append(f"{size(self._samples[-1][1])} of {size(self._total)}")
        rate = self.rate
        if rate is not None:
            left = (self._total - self._samples[-1][1]) / rate
            parts += [f"{size(int(rate))}/s", f"{duration(max(left, 0.0))} left"]
        return ", ".join(parts)
