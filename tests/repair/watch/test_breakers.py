"""Breakers of this process."""

import pytest
from django.core.files.storage import storages

from resto import health
from resto.repair.watch import breakers
from resto.repair.watch.breakers import open_breakers


HOSTS = ["http://media-1/", "http://media-2/"]


@pytest.fixture
def fail(settings, media_root):
    """A function that lets a host fail as often as a breaker allows."""
    options = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": HOSTS}}
    broken = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"timeout": "soon"}}
    settings.STORAGES = {"default": options, "broken": broken}

    def fail(host):
        breaker = health.find_breaker(storages["default"].transport_for(host).identify(host))
        for _ in range(health.MAX_FAILURES):
            breaker.failed(breaker.admit(host, "a", "upload"), "refused")

    return fail


def test_hosts_that_are_not_asked_are_told(fail):
    assert open_breakers() == []
    fail(HOSTS[1])
    assert open_breakers() == [{"storage": "default", "host": HOSTS[1], "state": "open", "failures": 3}]
    assert open_breakers(["broken"]) == []


def test_a_plugin_that_fails_hides_nothing_else(fail, monkeypatch):
    real = breakers._state

    def state(alias, host):
        if host == HOSTS[0]:
            raise ValueError("it is broken")
        return real(alias, host)

    fail(HOSTS[1])
    monkeypatch.setattr(breakers, "_state", state)
    assert [one["host"] for one in open_breakers()] == [HOSTS[1]]
