"""Where the truth of a name is."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, UndecidedError
from resto.outcomes import Outcome
from resto.record.truth import Truth, find_source, truth_of


HOSTS = ("h1", "h2", "h3")


def rows(*changes):
    """Rows of changes, each written as the hosts it is pending for, and whether it left a file."""
    return [
        SimpleNamespace(host=f"h{digit}", opened_by=str(number), present=present, created=number, digest="d")
        for number, (digits, present) in enumerate(changes)
        for digit in digits
    ]


@pytest.mark.parametrize(
    ("pending", "truth"),
    [
        ([], Truth(HOSTS, is_settled=True, is_present=False)),
        ([("3", True)], Truth(("h1", "h2"), is_settled=True, is_present=True)),
        ([("3", False), ("2", False)], Truth(("h1",), is_settled=True, is_present=False)),
        # A save that is under way, or was killed.
        ([("123", True)], Truth(HOSTS, is_settled=False, is_present=True)),
        ([("123", False)], Truth(HOSTS, is_settled=False, is_present=False)),
        # The third host has missed an earlier deletion: its old file is not what the save has brought.
        ([("3", True), ("123", True)], Truth(("h1", "h2"), is_settled=False, is_present=True)),
        ([("3", True), ("23", True), ("123", True)], Truth(("h1",), is_settled=False, is_present=True)),
        # The first host has missed the deletion of what the others have missed: these are right, and it has that file.
        ([("23", True), ("1", False), ("123", True)], Truth(("h2", "h3"), is_settled=False, is_present=True)),
        ([("3", True), ("12", False), ("123", True)], Truth(("h3",), is_settled=False, is_present=True)),
        # A host that is none any more tells nothing.
        ([("4", True)], Truth(HOSTS, is_settled=True, is_present=True)),
    ],
)
def test_truth(pending, truth):
    assert truth_of(HOSTS, rows(*pending)) == truth


@given(st.lists(st.tuples(st.sets(st.sampled_from("123"), min_size=1), st.booleans()), max_size=4))
def test_somebody_always_tells_the_truth(changes):
    truth = truth_of(HOSTS, rows(*changes))
    assert truth.hosts
    pending_for = {digit for digits, _ in changes for digit in digits}
    assert truth.is_settled == (len(pending_for) < len(HOSTS))
    assert not truth.is_settled or pending_for.isdisjoint(host[1] for host in truth.hosts)


@given(st.lists(st.tuples(st.sets(st.sampled_from("123"), min_size=1), st.booleans()), max_size=5))
def test_of_any_two_hosts_the_one_that_missed_the_last_change_that_they_do_not_share_is_not_asked(changes):
    truth = truth_of(HOSTS, rows(*changes))
    for host in truth.hosts:
        for other in HOSTS:
            unshared = [digits for digits, _ in changes if (host[1] in digits) != (other[1] in digits)]
            assert host[1] not in unshared[-1] if unshared else other in truth.hosts


def asked(**answers):
    """What hosts say: that they have the file, that they do not, or nothing."""

    def ask(host):
        errors = {
            "gone": RemoteFileNotFoundError(host, "a", "exists", "404"),
            "silent": HostUnavailableError(host, "a", "exists", "refused"),
        }
        answer = answers[host]
        return Outcome("exists", host, "a", 0, answer is True or None, errors.get(answer))

    return ask


SETTLED = Truth(HOSTS, is_settled=True, is_present=True)
SETTLED_GONE = Truth(HOSTS, is_settled=True, is_present=False)
PENDING = Truth(HOSTS, is_settled=False, is_present=True)
PENDING_GONE = Truth(HOSTS, is_settled=False, is_present=False)


@pytest.mark.parametrize(
    ("truth", "answers", "source"),
    [
        (SETTLED, {"h1": True}, "h1"),
        (SETTLED, {"h1": "silent", "h2": "gone", "h3": True}, "h3"),
        (SETTLED, {"h1": False, "h2": "gone", "h3": False}, None),
        (SETTLED_GONE, {"h1": "silent", "h2": False, "h3": False}, None),
        (PENDING, {"h1": False, "h2": True}, "h2"),
        (PENDING, {"h1": False, "h2": False, "h3": False}, None),
        (PENDING_GONE, {}, None),
    ],
)
def test_source(truth, answers, source):
    assert find_source(truth, "h3", "a", asked(**answers)) == source


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        # It may have the only copy.
        (SETTLED, {"h1": "silent", "h2": False, "h3": False}),
        (SETTLED_GONE, {"h1": "silent", "h2": "silent", "h3": "silent"}),
        # Whoever repairs another host may get an answer, and must not come to another result.
        (PENDING, {"h1": "silent", "h2": True, "h3": True}),
    ],
)
def test_nobody_knows(truth, answers):
    with pytest.raises(UndecidedError, match="h1 would know what it should have: refused") as caught:
        find_source(truth, "h3", "a", asked(**answers))
    assert (caught.value.host, caught.value.name, caught.value.action) == ("h3", "a", "repair")
