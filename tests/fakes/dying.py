"""Ends a run at one of its steps, as a kill would."""


class KilledError(BaseException):
    """Stands for a kill: nothing may run after it."""


class DyingJournals:
    """Journals that end the run at its n-th entry: the step took effect.

    `is_written` tells whether the entry is still written. `error` is what ends the run.
    """

    def __init__(self, real, at, *, is_written=False, error=KilledError):
        self.real, self.at, self.is_written, self.error = real, at, is_written, error
        self.count = 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    def append(self, domain_id, entry):
        self.count += 1
        if self.count != self.at or self.is_written:
            self.real.append(domain_id, entry)
        if self.count == self.at:
            raise self.error("injected")


def die(error, *_arguments):
    """Stand in for the settling of a run that was killed."""
    raise error
