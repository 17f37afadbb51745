"""The clock of the record."""

import pytest

from resto.record import leases


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    monkeypatch.setattr(leases, "retry_delay", lambda retries: 2.0**retries)
    monkeypatch.setattr(leases, "_unreachable", set())
    return clock
