"""Reads from a directory that is near, while others save, delete and drain, crash, and lose answers.

The real storage, record and drain run; a scheduler picks who takes the next step. What a near host gives is never older than what was
acknowledged before the read began, or than `RESTO_NEAR_LAG` seconds before that; without a look, or with one at another time, it is.
"""

import io
import itertools
import logging
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import DatabaseError
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.staging import UnorderedExecutor
from kit.world import World, WorldTransport, live_in
from resto.exceptions import ReplicationError
from resto.plugins import PluginManager
from resto.repair.drain import drain
from resto.storage import distributed, near


pytestmark = pytest.mark.django_db(transaction=True)

BUDGET = settings.default.max_examples
LEASE, GRACE = 300, 60
HOSTS = ["h1", "h2"]


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


SCRIPTS = st.lists(st.sampled_from(["save", "delete"]), min_size=1, max_size=3)
SCENARIOS = st.fixed_dictionaries(
    {
        "near": st.sampled_from(HOSTS),
        "lag": st.sampled_from([0, 0, 40]),
        "scripts": st.lists(SCRIPTS, min_size=1, max_size=2),
        "reads": st.integers(1, 4),
        "times": st.lists(st.sampled_from([5, 35, 55, 100, 290, 310]), max_size=4),
        "arrives": st.lists(st.booleans(), min_size=4, max_size=4),
        "faults": st.lists(st.sampled_from([0, 0, 0, 1, 2, 2, 3]), max_size=12),
        "crashes": st.lists(st.sampled_from([0] * 14 + [1]), max_size=40),
        "schedule": st.lists(st.integers(0, 6), min_size=20, max_size=120),
    }
)


class Directory:
    """The directory of a host of a world, which is on this machine, too."""

    def __init__(self, world, host):
        self.world, self.host = world, host

    def read(self, name):
        self.world.pause()
        content = self.world.hosts[self.host].get(name)
        return None if content is None else io.BytesIO(content)


@contextmanager
def opened(scenario, monkeypatch):
    """Open the world of a scenario."""
    world, numbers = World(scenario), itertools.count()
    options = {
        "transport": WorldTransport,
        "transport_options": {"world": world},
        "executor": UnorderedExecutor,
        "write_quorum": 1,
    }
    values = {
        "STORAGES": {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}},
        "RESTO_MEDIA_HOSTS": HOSTS,
        "RESTO_LEASE": LEASE,
        "RESTO_GRACE": GRACE,
        "RESTO_NEAR": {scenario["near"]: "/srv/media"},
        "RESTO_NEAR_LAG": scenario["lag"],
    }
    with override_settings(**values), monkeypatch.context() as patch:
        patch.setattr(PluginManager, "executor", lambda self, name: UnorderedExecutor)
        patch.setattr(distributed.random, "sample", lambda population, k: list(population)[:k])
        patch.setattr(
            Storage, "get_alternative_name", lambda self, root, extension: f"{root}{next(numbers)}{extension}"
        )
        patch.setattr(near.NearHosts, "note_change", lambda self: None)  # the others are other processes
        patch.setattr(near.NearHosts, "_read", lambda self, host, path, name, read: Directory(world, host).read(name))
        near._looks.forget()
        live_in(world, patch)
        for host in HOSTS:
            world.hosts[host]["a"] = b"old"
        yield world


def play(scenario, monkeypatch):
    """Play a scenario until all is quiet; return the contents that were read too late."""
    with opened(scenario, monkeypatch) as world:
        step = partial(next, itertools.count())
        saved = {b"old": -1}  # content -> when its save had ended
        deleted = []  # when each deletion began and was acknowledged, by the number of the step and by the clock
        stale = []

        def save(number, index):
            content = b"%d%d" % (number, index)
            with suppress(ReplicationError, DatabaseError, FileExistsError):
                storages["default"].save("a", ContentFile(content))
            saved[content] = step()

        def delete():
            began = step()
            with suppress(ReplicationError, DatabaseError):
                storages["default"].delete("a")
                deleted.append((began, step(), world.now))

        def write(number, script):
            for index, action in enumerate(script):
                if action == "save":
                    save(number, index)
                else:
                    delete()

        def read():
            for _ in range(scenario["reads"]):
                world.pause()
                began, moment = step(), world.now - scenario["lag"]
                found = storages["default"].near.read("download", "a")
                content = None if found is None else found.read()
                since = saved.get(content, float("inf"))  # it may not be known yet that it is saved
                gone = [one for one in deleted if since < one[0] and one[1] < began and one[2] <= moment]
                stale.extend([content] * bool(content and gone))

        writers = [partial(write, number, script) for number, script in enumerate(scenario["scripts"], 1)]
        world.play_out(scenario, [read, *writers], drain, rounds=3, pause=LEASE + GRACE)
        return stale


@settings(max_examples=2 * BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS)
def test_near_host_gives_nothing_that_was_deleted_before(monkeypatch, scenario):
    assert play(scenario, monkeypatch) == []


# Without a look, or with one at another time.


def read_without_a_look(patch):
    patch.setattr(near.NearHosts, "_lags", lambda self, alias, host, name: False)


def look_after_the_read(patch):
    def read(self, action, name):
        found = self._found()
        for host, path in found.directories:
            content = self._read(host, path, name, None)
            if content is not None and not self._lags(found.alias, host, name):
                return content
        return None

    patch.setattr(near.NearHosts, "read", read)


def let_a_look_hold_for_ever(patch):
    original = near._Looks.look
    patch.setattr(near._Looks, "look", lambda self, alias, host, seconds: original(self, alias, host, float("inf")))


QUIET = {
    "near": "h1",
    "lag": 0,
    "scripts": [["delete"]],
    "reads": 1,
    "times": [],
    "arrives": [False] * 4,
    "faults": [],
    "crashes": [],
    "schedule": [],
}
DELETES, DELETED_HALF = [1] * 10, QUIET | {"faults": [3]}  # the near host has missed it
BREAKING = {
    read_without_a_look: DELETED_HALF | {"schedule": DELETES},
    # Between the read and the look, a drain repairs the host.
    look_after_the_read: DELETED_HALF | {"times": [5], "schedule": DELETES + [0] * 3 + [3] * 2 + [1] * 60},
    let_a_look_hold_for_ever: DELETED_HALF
    | {"lag": 40, "reads": 2, "times": [55], "schedule": [0] * 3 + DELETES + [3] * 2},
}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_the_law_is_broken_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something. Whoever changes the steps of the protocol may have to change the schedules."""
    assert play(BREAKING[mutate], monkeypatch) == []
    mutate(monkeypatch)
    assert play(BREAKING[mutate], monkeypatch) == [b"old"]
