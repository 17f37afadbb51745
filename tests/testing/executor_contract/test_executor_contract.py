"""The contract as a whole: it lets the executor of the docs pass, and loses no promise of its themes."""

import re

import pytest

from kit.contracts import keeps, promises
from kit.docs_executors import PoolExecutor
from resto.testing import ExecutorContract


@pytest.mark.parametrize("is_in_one_pass", [False, True], ids=["by calls", "in one pass"])
@pytest.mark.parametrize("promise", promises(ExecutorContract))
def test_executor_of_the_docs_keeps_the_promise(suite, promise, is_in_one_pass, request):
    suite._is_in_one_pass = is_in_one_pass
    executor = PoolExecutor(threads=2)
    keeps(suite, promise, request, executor=executor)
    executor.pool().shutdown()


def test_each_promise_belongs_to_one_theme():
    themes = [promise for theme in ExecutorContract.__bases__ for promise in promises(theme)]
    assert sorted(themes) == promises(ExecutorContract)


def test_contract_says_where_its_themes_are():
    told = re.findall(r"^ *- `(\w+)`: ", ExecutorContract.__doc__, re.MULTILINE)
    assert sorted(told) == sorted(theme.__module__.rpartition(".")[2] for theme in ExecutorContract.__bases__)
