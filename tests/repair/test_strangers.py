"""Rows of hosts and storages that the settings do not have; `test_drain.py` has what a drain does with them."""

import logging

import pytest
from django.core.files.storage import storages

from resto.models import Pending
from resto.record import leases, opening
from resto.repair import strangers
from resto.repair.strangers import Strangers


pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(strangers, "_told", {})
    return clock


@pytest.fixture(autouse=True)
def rows(settings, media_root, clock):
    settings.RESTO_MEDIA_HOSTS = ["http://media-1/"]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage"}}
    for alias, host in [
        ("default", "http://media-1/"),
        ("default", "http://MEDIA-1"),
        ("default", "http://media-2/"),
        ("gone", "http://media-1/"),
    ]:
        for name in "ab":
            opening.open_lease(alias, [host], name, present=True).release(50)


def find_storage(alias):
    return storages[alias] if alias == "default" else None


def test_which_they_are():
    assert Strangers(find_storage, [], []).pairs == {("default", "http://media-2/"), ("gone", "http://media-1/")}
    assert Strangers(find_storage, ["default"], []).pairs == {("default", "http://media-2/")}
    assert Strangers(find_storage, [], ["http://media-1/"]).pairs == {("gone", "http://media-1/")}


def test_rows_stay_as_they_are(clock):
    before = list(Pending.objects.order_by("id").values())
    assert Strangers(find_storage, [], []).kept == 4
    assert list(Pending.objects.order_by("id").values()) == before


def test_it_is_said_once_an_hour(clock, caplog):
    caplog.set_level(logging.WARNING, "resto")
    assert [Strangers(find_storage, [], []).kept for _ in range(3)] == [4, 0, 0]
    assert len(caplog.records) == 2
    clock[0] += 3_600
    assert Strangers(find_storage, [], []).kept == 4


def test_after_a_week_they_are_forgotten(clock):
    clock[0] += 7 * 86_400
    found = Strangers(find_storage, [], [])
    assert (found.kept, found.forgotten) == (0, 4)
    assert set(Pending.objects.values_list("storage", "host")) == {
        ("default", "http://media-1/"),
        ("default", "http://MEDIA-1"),
    }


def test_storage_that_is_broken_is_none(clock):
    def fail(alias):
        raise ValueError("broken")

    assert Strangers(fail, [], []).pairs == set()
