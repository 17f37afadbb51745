"""Rows that are removed a moment later, when others have moved meanwhile, or never, as their process was killed.

The real storage, record and drain run, on two hosts; a scheduler picks who takes the next step, as in `test_pending_laws`. Without any
one of the rules of `resto.record.settled`, the law is broken.
"""

import logging
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.mastered import GRACE, LEASE, nearby, opened, scheduled, write
from kit.world import CrashError
from resto.models import Pending
from resto.record import leases, opening, rows, settled
from resto.record.changes import current_lease
from resto.record.settled import Settled
from resto.repair.drain import drain
from resto.storage import HybridStorage


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


BUDGET = settings.default.max_examples

HOSTS = ("host-1", "host-2")

SCRIPTS = st.lists(st.sampled_from(["save", "delete", "append"]), min_size=1, max_size=2)
SCENARIOS = st.fixed_dictionaries(
    {
        "fatal": st.booleans(),
        "behind": st.booleans(),
        "one_by_one": st.booleans(),
        "scripts": st.tuples(SCRIPTS, SCRIPTS),
        "late": st.lists(st.integers(0, 1), max_size=4),
        "drained": st.lists(st.sampled_from([(), (), HOSTS[:1], HOSTS[1:]]), max_size=4),
        "times": st.lists(st.sampled_from([5, 40, 55, 100, 290, 310]), max_size=4),
        "arrives": st.lists(st.booleans(), min_size=4, max_size=4),
        "faults": st.lists(st.sampled_from([0, 0, 0, 1, 2, 2, 3]), max_size=10),
        "crashes": st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), max_size=30),
        "schedule": st.lists(st.integers(0, 6), min_size=20, max_size=90),
    }
)


class OneByOneStorage(HybridStorage):
    """Settles each host before the next one follows."""

    def execute(self, func, name):
        for host in self.hosts:
            current_lease().settle(self._run_on(self.executor, func, [host], name))


class Processes:
    """What each writer has settled and not removed yet: it is a process of its own."""

    def __init__(self, stage):
        self.stage, self.alive = stage, []
        self._here = threading.local()

    def live(self, life):
        self._here.settled = Settled()
        self.alive.append(self._here.settled)
        try:
            life()
            self.stage.pause()  # it lives on
        except CrashError:
            self.alive.remove(self._here.settled)
            raise

    def take(self, owner, hosts):
        return self._here.settled.take(owner, hosts)

    def remove(self, number):
        if self.alive:
            self.alive[number % len(self.alive)].remove()


def play(scenario, monkeypatch):
    """Play a scenario until all is quiet; return the master copy, the hosts, and how many rows are left."""
    backend = OneByOneStorage if scenario["one_by_one"] else HybridStorage
    path = f"{backend.__module__}.{backend.__qualname__}"
    with opened(scenario, monkeypatch, HOSTS, path) as (world, location), monkeypatch.context() as patch:
        processes, ways = Processes(world.stage), iter(scenario["drained"])
        patch.setattr(leases, "SETTLED", processes)
        patch.setattr(settled, "_may_be_late", lambda: True)
        patch.setattr(Settled, "_has_timer", lambda self: True)

        def remove():
            for number in scenario["late"]:
                world.stage.pause()
                processes.remove(number)

        def repair():
            drain(hosts=next(ways, ()) if world.stage.is_acting() else ())

        lives = [partial(processes.live, partial(write, *each)) for each in enumerate(scenario["scripts"])]
        world.play_out(scenario, [*lives, remove], repair, rounds=6, pause=LEASE + GRACE)
        for number in range(2):  # they have stood still all the time
            processes.remove(number)
        master = Path(location) / "a"
        content = master.read_bytes() if master.exists() else None
        return content, [world.hosts[host].get("a") for host in HOSTS], Pending.objects.count()


@settings(max_examples=BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS)
def test_when_all_is_quiet_and_nothing_is_pending_the_hosts_equal_the_master_copy(monkeypatch, scenario):
    master, hosts, left = play(scenario, monkeypatch)

    assert hosts == [master] * 2
    assert left == 0


QUIET = {
    "fatal": False,
    "behind": False,
    "one_by_one": False,
    "scripts": ([], []),
    "late": [],
    "drained": [],
    "times": [],
    "arrives": [False] * 4,
    "faults": [],
    "crashes": [],
    "schedule": [],
}
FIRST, SECOND, LATE, DRAIN, OTHER_DRAIN, CLOCK, REQUESTS = range(7)


def test_row_that_a_kill_has_left_costs_one_replication_more(monkeypatch):
    scenario = QUIET | {"scripts": (["save"], [])}
    sent = []

    with opened(scenario, monkeypatch, HOSTS) as (world, _), monkeypatch.context() as patch:
        patch.setattr(leases, "SETTLED", Settled())  # nobody ever removes anything from there
        patch.setattr(settled, "_may_be_late", lambda: True)
        patch.setattr(Settled, "_has_timer", lambda self: True)
        send = world.send
        patch.setattr(world, "send", lambda host, *args: (sent.append(host), send(host, *args))[1])
        write(0, ["save"])
        assert Pending.objects.count() == 2
        assert drain().done == 0
        assert sorted(sent) == [*HOSTS]
        world.pass_time(LEASE, arrives=False)
        assert drain().done == 2
        world.pass_time(LEASE, arrives=False)
        assert drain().claimed == 0
        assert sorted(sent) == sorted(HOSTS * 2)


# Without any one of the rules.


def remove_all_rows_of_an_owner(patch):
    delete = rows.delete

    def delete_all(where):
        is_late = set(where) == {"owner IN %s", "host IN %s"}
        return delete({"owner IN %s": where["owner IN %s"]} if is_late else where)

    patch.setattr(rows, "delete", delete_all)


def remove_rows_that_have_another_owner_by_now(patch):
    take, delete, numbers = Settled.take, rows.delete, {}

    def note_numbers(self, owner, hosts):
        numbers[owner] = [*Pending.objects.filter(owner=owner, host__in=hosts).values_list("id", flat=True)]
        return take(self, owner, hosts)

    def delete_by_numbers(where):
        noted = [number for owner in where.get("owner IN %s", ()) for number in numbers.get(owner, ())]
        return delete({"id IN %s": noted} if noted else where)

    patch.setattr(Settled, "take", note_numbers)
    patch.setattr(rows, "delete", delete_by_numbers)


def count_rows_that_are_left_over(patch):
    original = rows.update

    def update(where, *more, **values):
        is_renewal = set(values) == {"quiet_until", "due"} and set(where) == {"owner = %s", "host IN %s"}
        return original({"owner = %s": where["owner = %s"]} if is_renewal else where, *more, **values)

    patch.setattr(rows, "update", update)


def write_nothing_ahead_where_a_row_is_left_over(patch):
    original, last = opening.insert_rows, []

    def insert(lease, *args, **options):
        if last and Pending.objects.filter(owner=last[-1]).exists():
            lease.token = last[-1]
        else:
            original(lease, *args, **options)
            last.append(lease.token)

    patch.setattr(opening, "insert_rows", insert)


DELETED_LATER = QUIET | {"scripts": (["save"], ["delete"]), "times": [310], "arrives": [True] * 4}

# What happens, who moves when, and how many steps each of them moves. These are found by a search: if there are others by now, they are
# looked for nearby.
BREAKING = {
    remove_all_rows_of_an_owner: (
        QUIET | {"scripts": (["save"], []), "one_by_one": True, "late": [0], "faults": [0, 3]},
        (FIRST, LATE),
        (9, 3),
    ),
    remove_rows_that_have_another_owner_by_now: (
        DELETED_LATER | {"late": [0, 1], "faults": [0, 0, 0, 0, 2, 2]},
        (FIRST, CLOCK, DRAIN, LATE, SECOND, LATE),
        (9, 2, 12, 3, 10, 3),
    ),
    count_rows_that_are_left_over: (
        DELETED_LATER | {"one_by_one": True, "late": [1], "drained": [HOSTS[1:]] * 2, "faults": [0, 0, 0, 0, 2]},
        (FIRST, CLOCK, FIRST, DRAIN, SECOND, LATE),
        (5, 2, 1, 21, 10, 3),
    ),
    write_nothing_ahead_where_a_row_is_left_over: (
        QUIET | {"scripts": (["save", "save"], []), "late": [0], "crashes": [0] * 10 + [1]},
        (FIRST, LATE),
        (9, 3),
    ),
}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_the_law_is_broken_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something."""
    scenario, moves, found = BREAKING[mutate]

    def breaks_the_law(steps):
        master, hosts, left = play(scenario | {"schedule": scheduled(moves, steps)}, monkeypatch)
        return hosts != [master] * 2 and left == 0

    assert not breaks_the_law(found)

    mutate(monkeypatch)

    assert any(map(breaks_the_law, [found, *nearby(found, most=2)]))
