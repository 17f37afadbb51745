"""What is recorded while files are brought back."""

import pytest

from resto.models import Pending
from resto.record import restores
from resto.record.claims import claim
from resto.record.opening import open_lease, open_restored
from resto.record.restores import claim_as_others, make_as_others, pending_names, pending_of


pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = ["one", "two"]


def test_what_is_pending_is_found_but_not_what_restores_have_left():
    open_lease("default", HOSTS, "a", present=True)
    open_lease("other", ["one"], "a", present=True)
    open_restored("default", HOSTS, ["a", "b"])
    Pending.objects.create(
        storage="default", host="two", name="c", present=False, owner="", quiet_until=0, due=0, created=0
    )  # as version 0.1 writes it
    found = pending_of(["default"], ["a", "b", "c"])
    assert {name: [row.host for row in rows] for name, rows in found.items()} == {"a": HOSTS, "c": ["two"]}
    assert len(pending_of(["default", "other"], ["a"])["a"]) == 3


def test_names_come_in_pages(monkeypatch):
    monkeypatch.setattr(restores, "_PAGE", 3)
    for name in "abc":
        open_lease("default", HOSTS, name, present=True)
    open_restored("default", HOSTS, ["d"])
    open_lease("other", HOSTS, "e", present=True)
    assert [*pending_names(["default"])] == [["a", "b"], ["b", "c"], []]


def test_rows_become_as_others_and_those_that_are_gone_are_opened_again():
    held = open_restored("default", HOSTS, ["a", "b"])
    Pending.objects.filter(name="b", host="two").delete()
    Pending.objects.filter(name="a").update(quiet_until=0, due=0)
    claimed = claim(10)
    assert [(one.host, one.name, one.is_restored) for one in claimed] == [("one", "a", True), ("two", "a", True)]
    make_as_others("default", held)
    mine = Pending.objects.filter(owner__in=[lease.token for lease in held.values()])
    assert sorted(mine.values_list("name", "host", "latest")) == [
        (name, host, "") for name in ("a", "b") for host in ("one", "two")
    ]
    claim_as_others([one.lease for one in claimed])
    assert not Pending.objects.exclude(latest="").exists()


def test_row_of_somebody_else_makes_a_claim_one_as_any_other():
    open_restored("default", ["one"], ["a"])
    open_lease("default", ["one"], "a", present=True)
    Pending.objects.update(quiet_until=0, due=0)
    [claimed] = claim(10)
    assert not claimed.is_restored
