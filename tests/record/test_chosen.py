"""Rows that somebody chooses by hand, in each kind of database."""

import pytest

from kit.record import REFUSED, SILENT, open_lease, outcome
from resto.models import Pending
from resto.record import chosen, leases, rests


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database", "clock")]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch, clock):
    monkeypatch.setattr(rests, "PART", 2)
    clock[0] = 1_764_356_001.123457  # as many digits as a time has


def miss(*names, host="media-1", storage="default"):
    for name in names:
        open_lease(name, [host], storage=storage).settle([outcome(host, REFUSED)])


def due(clock):
    return {(row.storage, row.host, row.name) for row in Pending.objects.filter(due__lte=clock[0])}


def test_what_may_be_sent_becomes_due(clock):
    miss(*"abcde")
    miss("a", host="media-2")
    miss("a", storage="other")
    open_lease("silent", ["media-1"]).settle([outcome("media-1", SILENT)])
    open_lease("under way", ["media-1"])
    chosen.make_due(["default"], ["media-1"])
    assert due(clock) == {("default", "media-1", name) for name in "abcde"}
    chosen.make_due(["default"])
    assert ("default", "media-2", "a") in due(clock)
    chosen.make_due()
    assert len(due(clock)) == 7
    clock[0] += 60
    chosen.make_due()
    assert {name for _, _, name in due(clock)} == {*"abcde", "silent"}


def test_single_rows_are_made_due(clock):
    miss(*"abc")
    numbers = {row.name: row.pk for row in Pending.objects.all()}
    assert due(clock) == set()
    assert chosen.make_rows_due([numbers["a"], numbers["c"]]) == 2
    assert due(clock) == {("default", "media-1", name) for name in "ac"}
    assert chosen.make_rows_due([numbers["a"]]) == 0  # it is due already
    assert chosen.make_rows_due([]) == 0


def test_names_are_counted_and_forgotten(clock):
    miss(*"abcaa")
    miss("a", storage="other")
    miss("a", host="media-2")
    open_lease("under way", ["media-1"])
    assert chosen.names_by_storage("media-1") == {"default": 4, "other": 1}
    assert chosen.names_by_storage("media-3") == {}
    assert sum(chosen.forget_host("default", "media-1")) == 5
    assert chosen.names_by_storage("media-1") == {"default": 1, "other": 1}
    clock[0] += leases.lease_seconds()
    assert sum(chosen.forget_host("default", "media-1")) == 1
    assert chosen.names_by_storage("media-2") == {"default": 1}


def test_files_are_listed_once_the_oldest_first(clock):
    miss(*"dab")
    clock[0] += 10
    miss(*"cba", "à #?%.txt")
    miss("a", host="media-2")
    miss("a", storage="other")
    open_lease("under way", ["media-1"])
    found = [(one.host, one.name, one.age) for one in chosen.pending_files(["default"])]
    assert [(host, name) for host, name, _ in found] == [
        *[("media-1", name) for name in [*"dabc", "à #?%.txt"]],
        ("media-2", "a"),
    ]
    assert [age for _, _, age in found] == pytest.approx([10, 10, 10, 0, 0, 0])
    assert [one.name for one in chosen.pending_files(["other"])] == ["a"]
    assert [one.host for one in chosen.pending_files(["default", "other"], ["media-2"])] == ["media-2"]
    assert list(chosen.pending_files(["default"], ["media-3"])) == []


def test_what_a_row_says(clock):
    miss("a")
    open_lease("a", ["media-2"])
    open_lease("a", ["media-2"], storage="other")
    clock[0] += 5
    first, second = chosen.rows_of_file("default", "a")
    assert first == chosen.PendingFile("default", "media-1", "a", False, first.age, first.due, 1, "refused")
    assert (first.age, first.due) == pytest.approx((5, -4))
    assert (second.host, second.is_under_way, second.error) == ("media-2", True, "")
    assert second.due == pytest.approx(295)
    clock[0] += 300
    assert not chosen.rows_of_file("default", "a")[1].is_under_way
    assert chosen.rows_of_file("default", "b") == []
