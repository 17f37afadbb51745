"""Turns: one at a time."""

import json
import os

import pytest

from kit.lives import ended_life
from resto.exceptions import ConfigurationError, LeaseLostError
from resto.models import Host
from resto.record import identities, leases
from resto.record.turns import Turn


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def passes(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: now[0])
    monkeypatch.setattr(leases, "monotonic", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def test_nobody_else_gets_it_until_its_end(passes):
    with Turn("default", "restore"):
        passes(100)
        with (
            pytest.raises(
                ConfigurationError,
                match=rf"another restore of STORAGES\['default'\] is under way, by process {os.getpid()} of .* \(Try again when that has",
            ),
            Turn("default", "comparison"),
        ):
            pass
        with Turn("other", "restore"):
            pass
    with Turn("default", "comparison"):
        pass
    assert not Host.objects.exists()


def test_of_a_process_elsewhere_it_is_not_known_whether_it_was_killed(passes):
    with Turn("default", "restore"):
        passes(100)
        Host.objects.update(marks='{"process": 7, "machine": "web-2", "life": "elsewhere 7 1"}')
        with (
            pytest.raises(ConfigurationError, match=r"process 7 of web-2 \(If that was killed, try again in 200 sec"),
            Turn("default", "comparison"),
        ):
            pass


def test_who_has_it_need_not_be_known(passes):
    """A row of a version that did not tell."""
    Host.objects.create(storage="default", host=identities.TURN, identity="1", looked=leases.clock() + 30, marks="{}")
    with (
        pytest.raises(ConfigurationError, match=r"is under way \(If that was killed, try again in 30 seconds"),
        Turn("default", "restore"),
    ):
        pass


def test_it_ends_by_itself_unless_it_is_kept(passes):
    with Turn("default", "restore") as turn:
        for _ in range(5):
            passes(200)
            turn.keep()
        passes(leases.lease_seconds() + 1)  # it stands still
        with Turn("default", "restore") as other:
            with pytest.raises(LeaseLostError):
                turn.keep()
            other.keep()
            assert Host.objects.count() == 1


def test_it_is_free_at_once_when_its_process_has_ended():
    with Turn("default", "restore") as turn:
        holder = {"process": 1, "machine": "web-1", "life": ended_life()}
        Host.objects.update(marks=json.dumps(holder))
        with Turn("default", "comparison") as other:
            assert json.loads(Host.objects.get().marks)["process"] == os.getpid()
            with pytest.raises(ConfigurationError, match="another comparison"), Turn("default", "restore"):
                pass
            assert Host.objects.get().identity == other._token != turn._token


def test_it_is_not_taken_for_a_host():
    identities.put("default", "http://one/", "1" * 32)
    with Turn("default", "restore"):
        assert [*identities.find_all("default")] == ["http://one/"]
