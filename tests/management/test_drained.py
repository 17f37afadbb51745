"""How commands say what a drain has done."""

import io

import pytest
from django.core.management.base import OutputWrapper

from resto.management import drained
from resto.management.drained import Teller, summary
from resto.repair.drain import Drained


@pytest.fixture
def streams():
    return io.StringIO(), io.StringIO()


@pytest.fixture
def teller(streams):
    return Teller(*map(OutputWrapper, streams))


def test_summary():
    assert summary(Drained()) == ""
    assert summary(Drained(done=3, removed=1, failed=2)) == "2 sent, 1 removed, 2 failed"


def test_report(teller, streams):
    teller.report(Drained(), "; 1 name is pending")
    teller.report(Drained(done=1))
    assert streams[0].getvalue() == "Nothing is due; 1 name is pending.\n1 sent.\n"


def test_a_refusal_is_said_once_an_hour(teller, streams, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(drained, "monotonic", lambda: now[0])
    refused = Drained(
        refused=(("default", "it is another one"),),
        refused_hosts=((("other", "http://media-1/"), "it has lost its files"),),
    )
    for moment in (0, 3_599, 3_600):
        now[0] = moment
        teller.refusals(refused)
    assert streams[1].getvalue().splitlines() == 2 * [
        "STORAGES['default'] is not drained: it is another one",
        "http://media-1/ of STORAGES['other'] is not drained: it has lost its files",
    ]
