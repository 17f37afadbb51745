"""The clock of the record, and the connections to its database."""

import pytest
from django.db import connection

from kit.sessions import Sessions
from resto.record import database as record_database
from resto.record import leases
from resto.record.own import OWN


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    monkeypatch.setattr(leases, "retry_delay", lambda retries: 2.0**retries)
    monkeypatch.setattr(leases, "_unreachable", set())
    monkeypatch.setattr(leases, "_hastened", {})
    return clock


@pytest.fixture(autouse=True)
def _first_database(monkeypatch):
    """No test depends on the database of another one."""
    monkeypatch.setattr(record_database, "_last", None)


@pytest.fixture
def sessions(database, transactional_db):
    """The connections to the database; none is there at first."""
    connection.close()
    OWN.close()
    sessions = Sessions()
    assert sessions.become(0)
    yield sessions
    sessions.close()
    OWN.close()
