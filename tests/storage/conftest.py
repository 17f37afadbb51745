"""A storage without a master copy, whose record has a clock of the test."""

from functools import partial

import pytest
from django.core.files.storage import storages

from resto import health
from resto.record import leases


@pytest.fixture
def clock(monkeypatch):
    """The clock of the record and of the breakers."""
    clock = [1_000_000.0]
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, lambda: clock[0], lambda low, high: 1))
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(3)]


@pytest.fixture
def make(settings, servers):
    def make(**options):
        hosts = [{"url": server.url, "timeout": 0.3 if server.hang else 10} for server in servers]
        options = {"hosts": hosts, "transport": "webdav"} | options
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    """A storage that two of its three hosts are enough for."""
    return make(write_quorum="majority")
