"""Implementations of contracts that break a promise each, and what tells whether a suite finds out."""

import inspect
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import Phase, settings


# That there is an example is enough: nobody has to understand it.
settings.register_profile(
    "mutants", settings.get_profile("default"), database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)

# Seconds in which a suite finds a broken promise, also on a busy machine. It is less than what ends a test that hangs.
LIMIT = 60


@dataclass(frozen=True)
class Mutant:
    """A class that breaks a promise."""

    promise: str
    cls: type

    def __str__(self):
        return f"{self.cls.__name__}-{self.promise}"


class Mutants(list):
    """Classes that break promises, in the order of their definition."""

    def breaks(self, *promises):
        """Say which promises a class breaks."""

        def register(cls):
            self.extend(Mutant(promise, cls) for promise in promises)
            return cls

        return register


def promises(suite):
    """The names of the tests of a suite."""
    return [name for name in dir(suite) if name.startswith("test_")]


def keeps(suite, promise, request, **fixtures):
    """Run one test of a suite."""
    test = getattr(suite, promise)
    wanted = inspect.signature(test).parameters
    with _profile("mutants"):
        test(**{name: fixtures[name] if name in fixtures else request.getfixturevalue(name) for name in wanted})


def fails(suite, promise, request, **fixtures):
    """Tell whether one test of a suite fails, and soon; to skip it is not to fail, and neither is to hang."""
    assert hasattr(suite, promise)
    started = time.monotonic()
    try:
        keeps(suite, promise, request, **fixtures)
    except (Exception, pytest.fail.Exception) as error:
        if "pytest-timeout" in str(error):
            raise
        # Hypothesis may have put another error in the place of that one.
        return time.monotonic() - started < LIMIT
    return False


@contextmanager
def _profile(name):
    before = settings.get_current_profile_name()
    settings.load_profile(name)
    try:
        yield
    finally:
        settings.load_profile(before)
