"""The contract of executors, and whether it finds out what is wrong."""

import pytest

from kit.contracts import fails
from resto.testing import ExecutorContract


@pytest.fixture
def suite():
    return ExecutorContract()


@pytest.fixture
def finds(suite, request):
    """Tell whether the contract finds out that an executor breaks its promise."""
    suite.patience = 0.25

    def find(mutant):
        return fails(suite, mutant.promise, request, executor=mutant.cls())

    return find
