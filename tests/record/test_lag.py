"""What hosts may lack, on each database."""

import pytest

from kit.record import open_lease
from resto.models import Host
from resto.record import lag
from resto.record.identities import BEING_MADE, GONE, NEW
from resto.record.lag import lag_of


pytestmark = pytest.mark.django_db

HOSTS = ("media-1", "media-2", "media-3")


@pytest.fixture(autouse=True)
def _each_database(database):
    pass


def state(host, state, storage="default"):
    Host.objects.create(storage=storage, host=host, identity="0" * 32, state=state, looked=1)


def test_nothing_lags():
    found = lag_of("default", HOSTS)
    assert (found.names, found.hosts) == ({}, frozenset())
    assert not found.has("media-1", "a")


def test_names_of_hosts():
    open_lease("a/é.txt", ["media-1", "media-2"])
    open_lease("b", ["media-1"])
    open_lease("c", ["media-1"], "other")
    open_lease("d", ["media-9"])
    found = lag_of("default", HOSTS)
    assert found.names == {"media-1": {"a/é.txt", "b"}, "media-2": {"a/é.txt"}}
    assert found.hosts == frozenset()
    assert [found.has(host, "a/é.txt") for host in HOSTS] == [True, True, False]
    assert [found.has(host, "b") for host in HOSTS] == [True, False, False]
    assert not found.has("media-1", "c")


def test_host_that_lacks_much_lacks_all(monkeypatch):
    monkeypatch.setattr(lag, "MOST", 2)
    for name in "abc":
        open_lease(name, ["media-1"])
    for name in "ab":
        open_lease(name, ["media-2"])
    found = lag_of("default", HOSTS)
    assert [found.has(host, "x") for host in HOSTS] == [True, False, False]
    assert [found.has(host, "a") for host in HOSTS] == [True, True, False]


def test_a_name_may_have_several_rows(monkeypatch):
    """What comes after them is not seen."""
    monkeypatch.setattr(lag, "MOST", 2)
    for name in "aab":
        open_lease(name, ["media-1"])
    assert lag_of("default", HOSTS).has("media-1", "b")


def test_host_that_has_lost_its_files_lacks_all():
    state("media-1", GONE)
    state("media-2", NEW)
    state("media-3", BEING_MADE)
    state("media-3", GONE, "other")
    state("", "restoring")
    found = lag_of("default", HOSTS)
    assert [found.has(host, "a") for host in HOSTS] == [True, True, False]
