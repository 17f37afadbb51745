"""What a restore comes to."""

import pytest

from resto.repair.restore.report import Finding, RestoreReport
from resto.repair.sync.report import HostReport


@pytest.mark.parametrize(
    ("kind", "sizes", "is_in_doubt"),
    [
        ("restored", {"one": 1}, False),
        ("found", {"one": 1}, False),
        ("left", {"one": 1}, False),
        ("different", {"one": 1, "two": 2}, True),
        ("partial", {"one": 1, "two": None}, True),
        ("failed", {"one": 1}, True),
        ("lost", {"one": None}, False),
        ("lost", {"one": 1}, True),
    ],
)
def test_what_somebody_has_to_decide_about_is_in_doubt(kind, sizes, is_in_doubt):
    report = RestoreReport([HostReport("one")])
    report.add(Finding("a", kind, "", sizes))
    assert (report.in_doubt, report.is_complete, report.counts) == (is_in_doubt, not is_in_doubt, {kind: 1})


def test_problems_leave_it_incomplete():
    assert not RestoreReport([], problems=["it is missing"]).is_complete
    assert not RestoreReport([HostReport("one", problems=["it does not answer"])]).is_complete
