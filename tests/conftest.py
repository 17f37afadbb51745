"""What all tests share."""

import os
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

from kit.clock import Clock
from resto import health
from resto.record import database


pytest_plugins = ["kit.servers", "kit.brokers", "pytester"]

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.register_profile("explore", settings.get_profile("default"), max_examples=5_000, deadline=timedelta(minutes=1))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# Whose tests wait for processes most of the time; none of them is to begin when nothing else is left to be done meanwhile.
LONG = [
    "test_live_queues",
    "test_live_record",
    "test_live_site",
    "test_docs",
    "test_known_users",
    "test_plugins_example",
]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    """No test depends on the environment of the person who runs it."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture(autouse=True)
def _record(request, monkeypatch):
    """What is saved is recorded only in tests that have a database."""
    if request.node.get_closest_marker("django_db") is None:
        monkeypatch.setattr(database, "is_active", lambda: False)


@pytest.fixture(autouse=True)
def _fresh_breakers():
    """No test depends on the hosts that another one could not reach."""
    health.forget()


@pytest.fixture
def breaker_clock(monkeypatch):
    """The clock of all breakers, whose pauses have no jitter."""
    clock = Clock()
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, clock, lambda low, high: 1))
    return clock


@pytest.fixture
def media_root(tmp_path, settings):
    """An empty master copy, as `MEDIA_ROOT`."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"
