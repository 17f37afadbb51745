"""Hosts that are left out: since when, until when, and what that means for rows."""

import pytest

from resto.models import Pending
from resto.record import identities, leases, opening
from resto.record.identities import BEING_MADE, GONE, MARGIN, NEW
from resto.record.left_out import count_again, left_out_of
from resto.record.rows import FILL, Row
from resto.record.truth import NOBODY, LeftOut, Truth, truth_of


HOSTS = ("h1", "h2", "h3")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = [1_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    return clock


def known():
    return left_out_of(identities.find_all("default"))


@pytest.mark.django_db
def test_changes_that_are_recorded_a_little_later_leave_out_a_host_and_count_it_again(clock):
    identities.put("default", "h1", "x", state=NEW)
    clock[0] = 2_000.0
    assert count_again("default", "h1")
    found = known()
    moments = [1_000.0, 1_000.0 + MARGIN, 2_000.0, 2_000.0 + MARGIN]
    assert [found.hosts(HOSTS, moment) == {"h1"} for moment in moments] == [False, True, True, False]
    assert found.hosts(HOSTS) == frozenset()
    assert identities.find_all("default")["h1"].state == ""


@pytest.mark.django_db
@pytest.mark.parametrize("state", [BEING_MADE, NEW])
def test_host_that_comes_to_others_is_left_out_from_then_on(state):
    identities.add("default", "h2", "x")
    assert known() == NOBODY
    assert identities.add("default", "h1", "x", state=state, is_left_out=state == BEING_MADE)
    assert (known().hosts(HOSTS, 1_000.0), known().hosts(HOSTS)) == (frozenset(), {"h1"})
    assert known().hosts(HOSTS, 1_000.0 + MARGIN) == {"h1"}


@pytest.mark.django_db
@pytest.mark.parametrize("lags", [False, "failed", "resting", "fill"])
def test_host_counts_again_unless_it_lags(clock, lags):
    identities.put("default", "h1", "x", state=NEW)
    opening.open_change("default", ["h1"], "a", present=True)
    if lags == "fill":
        opening.open_fills("default", "b", ["h1"])
    elif lags == "failed":
        Pending.objects.update(attempts=1)
    elif lags == "resting":
        clock[0] += 1_000
    assert count_again("default", "h1") is not bool(lags)
    assert bool(known().hosts(HOSTS)) is bool(lags)


@pytest.mark.django_db
def test_host_that_is_gone_stays_left_out_and_does_not_count_again(clock):
    identities.put("default", "h1", "x", state=NEW)
    identities.note(identities.find_all("default")["h1"], state=GONE)
    assert count_again("default", "h1") is False
    assert known().hosts(HOSTS) == {"h1"}


@pytest.mark.django_db
def test_host_that_is_not_known_does_not_count_again():
    assert count_again("default", "h1") is False


def test_all_hosts_count_if_none_would_be_left():
    assert LeftOut(dict.fromkeys(HOSTS, (0.0, float("inf")))).hosts(HOSTS) == frozenset()


# What rows say.

OUT = LeftOut({"h1": (10.0, 20.0)})


def row(number, host, change, *, present=True, created=15.0, digest="d"):
    return Row(number, "default", f"h{host}", "a", present, "", 0.0, 0, digest, change, change, created, 0.0)


def truth(*rows):
    found = truth_of(HOSTS, [row(number, *one[:-1], **one[-1]) for number, one in enumerate(rows)], OUT)
    return found.hosts, found.is_settled, found.is_present, found.is_doubtful


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(2, "x", {})], (("h3",), True, True, False)),
        # The newest change decides, by when it was recorded.
        ([(2, "x", {"created": 5.0})], (("h1", "h3"), True, True, False)),
        ([(2, "x", {"created": 25.0})], (("h1", "h3"), True, True, False)),
        ([(2, "x", {"created": 15.0}), (3, "y", {"created": 25.0})], (("h1",), True, True, False)),
        ([(2, "x", {"created": 5.0}), (3, "y", {})], (("h1",), False, True, True)),
        # It has followed what all others have missed: that was before it was known.
        ([(2, "x", {}), (3, "x", {})], (("h1",), False, True, True)),
        ([(1, "x", {}), (2, "x", {}), (3, "x", {})], (("h2", "h3"), False, True, False)),
        # What a fill has to do is older than any change, says nothing of the file, and is no change.
        ([(2, "x", {"created": 5.0}), (1, FILL, {"present": False})], (("h3",), True, True, False)),
        ([(2, "x", {}), (3, "x", {}), (1, FILL, {"present": False})], (("h1",), False, True, True)),
        ([(one, FILL, {"present": False}) for one in (1, 2, 3)], (HOSTS, False, True, False)),
        ([(one, FILL, {"present": False}) for one in (1, 2)], (("h3",), True, True, False)),
        # Of a storage with a master copy: rows of one change were recorded at the same time.
        (
            [(2, "", {"created": 1.0, "digest": ""}), (3, "", {"created": 2.0, "digest": ""})],
            (("h1",), True, True, True),
        ),
        (
            [(one, "", {"created": 5.0 + (one == 3), "digest": ""}) for one in (1, 2, 3)],
            (("h1", "h2"), False, True, False),
        ),
    ],
)
def test_truth(rows, expected):
    assert truth(*rows) == expected


def test_host_that_is_left_out_is_named():
    assert truth_of(HOSTS, [row(1, 2, "x")], OUT) == Truth(
        ("h3",), is_settled=True, is_present=True, left_out=frozenset({"h1"})
    )
