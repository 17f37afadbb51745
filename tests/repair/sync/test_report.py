"""What reports come to, and how they put what went wrong."""

import pytest

from resto.exceptions import HostUnavailableError
from resto.outcomes import Outcome
from resto.repair.sync.report import Difference, HostReport, SyncReport, problem_of, settled


@pytest.mark.parametrize(
    ("counts", "agrees"),
    [
        ({"compared": 3}, True),
        ({"missing": 1, "different": 1, "extra": 1, "repaired": 3}, True),
        ({"missing": 1, "different": 1, "extra": 1, "repaired": 2}, False),
        ({"failed": 1}, False),
        ({"unlisted": 1}, True),
        ({"problems": ["it does not answer"]}, False),
    ],
)
def test_host_agrees_if_no_difference_is_left(counts, agrees):
    assert HostReport("a", **counts).agrees is agrees
    assert SyncReport([HostReport("b"), HostReport("a", **counts)]).agrees is agrees


@pytest.mark.parametrize("left", [{"disagreements": 1}, {"problems": ["it is missing"]}])
def test_storage_agrees_if_nothing_is_wrong_with_it_as_a_whole(left):
    assert SyncReport([HostReport("a")]).agrees
    assert not SyncReport([HostReport("a")], **left).agrees


ERROR = HostUnavailableError("a", "name", "repair", "it does not answer")


@pytest.mark.parametrize(
    ("error", "state", "problem"), [(None, "repaired", ""), (ERROR, "failed", "it does not answer")]
)
def test_difference_is_settled_by_what_its_repair_came_to(error, state, problem):
    found = Difference("a", "name", "different", 1, 2, "found")
    outcome = Outcome("repair", "a", "name", 0.1, error=error)
    assert settled(found, outcome) == Difference("a", "name", "different", 1, 2, state, problem)


def test_errors_of_hosts_are_told_in_their_own_words_and_others_with_their_types():
    assert problem_of(ERROR) == "it does not answer"
    assert problem_of(KeyError("a")) == "KeyError: 'a'"
