"""How many files may be removed."""

import pytest

from resto.repair.sync import HostReport
from resto.repair.sync.budgets import Budgets


def taken(budgets, tries=100):
    return sum(budgets.take("one") for _ in range(tries))


def test_nothing_may_be_removed_at_first():
    assert taken(Budgets(["one"])) == 0


def test_all_may_be_removed_if_nothing_limits_it():
    budgets = Budgets(["one"])
    budgets.lift()
    assert taken(budgets) == 100


@pytest.mark.parametrize(
    ("held", "extra", "most", "expected"), [(50, 5, 10, 5), (59, 5, 10, 5), (50, 6, 10, 0), (5, 5, 100, 5)]
)
def test_a_share_may_be_removed_or_nothing(held, extra, most, expected):
    budgets, report = Budgets(["one", "two"]), HostReport("one")
    budgets.set(report, held, extra, most)
    assert taken(budgets) == expected
    assert bool(report.problems) is (expected == 0)
    assert not budgets.take("two")


def test_what_is_refused_is_told():
    report = HostReport("one")
    Budgets(["one"]).set(report, 1000, 101, 10)
    assert report.problems == [
        "101 of its 1,000 files would be removed, which is more than 10 %: none is, unless forced"
    ]
