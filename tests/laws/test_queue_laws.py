"""Drains with a task queue and without it, and messages that come late, twice, or although the queue has refused them.

The real storage, workers, record and drain run; a scheduler picks who takes the next step, as in `test_pending_laws`. Without any one of
the rules by which a drain takes back what it has handed over, the law is broken.
"""

import logging
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.mastered import GRACE, LEASE, nearby, scheduled, standing
from kit.world import (
    World,
)
from resto.executors.queue import QueueExecutor
from resto.models import Pending
from resto.record import claims, leases, rows
from resto.repair.drain import drain
from resto.workers import perform


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


BUDGET = settings.default.max_examples

TAKES, REFUSES, LOSES_ITS_ANSWER = range(3)

SCENARIOS = st.fixed_dictionaries(
    {
        "script": st.lists(st.sampled_from(["save", "delete", "append"]), min_size=1, max_size=3),
        "queue": st.lists(st.sampled_from([TAKES, TAKES, REFUSES, LOSES_ITS_ANSWER]), max_size=6),
        "direct": st.lists(st.sampled_from([None, None, True, False]), max_size=4),
        "deliveries": st.tuples(*[st.lists(st.integers(0, 3), max_size=3)] * 2),
        "come_again": st.booleans(),
        "times": st.lists(st.sampled_from([5, 40, 55, 100, 290, 310, 610]), max_size=4),
        "arrives": st.lists(st.booleans(), min_size=4, max_size=4),
        "faults": st.lists(st.sampled_from([0, 0, 0, 1, 2, 2, 3]), max_size=8),
        "crashes": st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), max_size=25),
        "schedule": st.lists(st.integers(0, 6), min_size=20, max_size=80),
    }
)


class WorldQueue(QueueExecutor):
    """A queue that keeps its messages, so that each may be delivered again, and whose answers a scenario decides."""

    def __init__(self, *, world, messages, answers):
        self.world, self.messages, self.answers = world, messages, answers

    def enqueue(self, message):
        self.world.pause()
        answer = next(self.answers, TAKES)
        if answer != REFUSES:
            self.messages.append(message)
        if answer != TAKES:
            raise ConnectionError("no answer")


@contextmanager
def opened(scenario, monkeypatch):
    """Open the world of a scenario, and return it, where the master copy is, and the messages of the queue."""
    world, messages = World(scenario), []
    more = {
        "executor": WorldQueue,
        "executor_options": {"world": world, "messages": messages, "answers": iter(scenario["queue"])},
        "allow_overwrite": True,
    }
    with standing(world, monkeypatch, backend="resto.storage.AsyncStorage", **more) as (location, _):
        yield world, location / "a", messages


def play(scenario, monkeypatch):
    """Play a scenario until all is quiet; return the master copy, the host, and how many rows are left."""
    with opened(scenario, monkeypatch) as (world, master, messages):
        ways = iter(scenario["direct"])

        def write():
            storage = storages["default"]
            for step, action in enumerate(scenario["script"]):
                with suppress(OSError):
                    if action == "save":
                        storage.save("a", ContentFile(b"%d" % step))
                    elif action == "delete":
                        storage.delete("a")
                    else:
                        with storage.open("a", "ab") as file:
                            file.write(b"%d" % step)

        def work(deliveries):
            for number in deliveries:
                world.pause()
                if messages:
                    messages.extend(perform(messages[number % len(messages)]).again)

        def repair():
            if world.stage.is_acting():
                drain(direct=next(ways, None))
            else:
                drain(direct=True)

        workers = [partial(work, deliveries) for deliveries in scenario["deliveries"]]
        world.play_out(scenario, [write, *workers], repair, rounds=6, pause=LEASE + GRACE)
        for message in [*messages] if scenario["come_again"] else []:  # once more, long after
            perform(message)
        for _ in range(2):
            world.pass_time(LEASE + GRACE, arrives=True)
            repair()
        return master.read_bytes() if master.exists() else None, world.hosts["host"].get("a"), Pending.objects.count()


@settings(max_examples=BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS)
def test_when_all_is_quiet_and_nothing_is_pending_the_host_equals_the_master_copy(monkeypatch, scenario):
    master, host, left = play(scenario, monkeypatch)

    assert host == master
    assert left == 0


# Without any one of the rules.


def keep_what_was_handed_over(patch):
    patch.setattr(claims, "take_back", lambda piece: piece)


def take_back_under_the_same_owner(patch):
    def take_back(piece):
        until = leases.clock() + piece.lease.seconds
        mine = {"owner = %s": piece.lease.token}
        taken = rows.update(mine, "attempts = attempts - 1", opened_by="", quiet_until=until, due=until)
        return piece if taken else None

    patch.setattr(claims, "take_back", take_back)


def work_without_a_row(patch):
    patch.setattr(claims, "insert_rows", lambda *args, **options: None)


def believe_a_size_although_something_is_pending(patch):
    adopt_lease = claims.adopt_lease

    def adopt(*args, **options):
        lease = adopt_lease(*args, **options)
        lease.caught_up = lease.hosts
        return lease

    patch.setattr(claims, "adopt_lease", adopt)


def remove_rows_that_must_rest(patch):
    clear = leases.Lease._clear

    def clear_at_once(self, *args, **options):
        self._rests_until = 0
        clear(self, *args, **options)

    patch.setattr(leases.Lease, "_clear", clear_at_once)


QUIET = {
    "script": ["save", "delete"],
    "queue": [],
    "direct": [],
    "deliveries": ([], []),
    "come_again": False,
    "times": [],
    "arrives": [True] * 4,
    "faults": [],
    "crashes": [],
    "schedule": [],
}
WRITER, WORKER, OTHER_WORKER, DRAIN, CLOCK = 0, 1, 2, 3, 5
DELETED_WHILE_A_DRAIN_SENDS = QUIET | {"times": [310], "faults": [0, 0, 2]}

# What happens, who moves when, and how many steps each of them moves. These are found by a search: if there are others by now, they are
# looked for nearby.
BREAKING = {
    keep_what_was_handed_over: (
        DELETED_WHILE_A_DRAIN_SENDS | {"queue": [TAKES, REFUSES], "deliveries": ([0, 1], [])},
        (WRITER, CLOCK, DRAIN),
        (4, 2, 12),
    ),
    take_back_under_the_same_owner: (
        DELETED_WHILE_A_DRAIN_SENDS | {"queue": [TAKES, LOSES_ITS_ANSWER], "deliveries": ([1, 2], [])},
        (WRITER, CLOCK, DRAIN),
        (4, 2, 13),
    ),
    work_without_a_row: (
        QUIET | {"script": ["save", "append", "delete"], "deliveries": ([0, 1, 2], [0]), "faults": [0, 0, 0, 0, 2]},
        (WRITER, WORKER, OTHER_WORKER, WRITER, WORKER, OTHER_WORKER),
        (4, 8, 5, 3, 4, 2),
    ),
    believe_a_size_although_something_is_pending: (
        QUIET | {"script": ["save", "save"], "deliveries": ([0, 1], [])},
        (WRITER, WORKER),
        (4, 12),
    ),
    remove_rows_that_must_rest: (
        QUIET | {"deliveries": ([0, 1, 2], []), "faults": [2]},
        (WRITER, WORKER),
        (4, 12),
    ),
}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_the_law_is_broken_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something."""
    scenario, moves, found = BREAKING[mutate]

    def breaks_the_law(steps):
        master, host, left = play(scenario | {"schedule": scheduled(moves, steps)}, monkeypatch)
        return host != master and left == 0

    assert not breaks_the_law(found)

    mutate(monkeypatch)

    assert any(map(breaks_the_law, [found, *nearby(found, most=3)]))
