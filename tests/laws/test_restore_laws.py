"""A restore among saves, deletions and drains, under any interleaving, with crashes, lost answers and late requests.

One host has a file that the master copy and the other host lack. The real storage, record, drain and restore run; a scheduler picks
who takes the next step. Without any one of the rules of `resto.repair.restore`, the law is broken.
"""

import logging
from contextlib import contextmanager
from itertools import chain, count, product

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.mastered import GRACE, LEASE, standing
from kit.world import World, paused
from resto.exceptions import ReplicationError
from resto.master import copy
from resto.master.copy import MasterCopy
from resto.master.root import Root
from resto.models import Pending
from resto.names import TEMPORARY_PREFIX, restored_name
from resto.record import opening
from resto.repair.drain import drain
from resto.repair.restore import bringing
from resto.repair.restore.bringing import Bringing
from resto.repair.restore.choice import Wanted
from resto.repair.sync.hosts import Hosts
from resto.storage.belief import Belief


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


BUDGET = settings.default.max_examples


OLD = b"old"

SCENARIOS = st.fixed_dictionaries(
    {
        "script": st.lists(st.sampled_from(["save", "delete", "over"]), min_size=0, max_size=2),
        "times": st.lists(st.sampled_from([5, 40, 55, 100, 290, 310]), max_size=3),
        "arrives": st.lists(st.booleans(), min_size=4, max_size=4),
        "faults": st.lists(st.sampled_from([0, 0, 0, 1, 2, 2, 3]), max_size=6),
        "crashes": st.lists(st.sampled_from([0] * 12 + [1]), max_size=40),
        "schedule": st.lists(st.integers(0, 5), min_size=20, max_size=80),
    }
)


@contextmanager
def opened(scenario, monkeypatch):
    """Open the world of a scenario."""
    world = World(scenario)
    with standing(world, monkeypatch, ["near", "far"], fatal_exceptions=False) as (location, patch):
        for method in ("remove", "has"):
            patch.setattr(Root, method, paused(world, getattr(Root, method)))
        world.hosts["near"]["a"] = OLD
        yield world, location


def play(scenario, monkeypatch, *, drains_until_restored=0):
    """Play a scenario until all is quiet; return what is wrong then, or an empty string.

    Until so many drains have run, the master copy is being restored.
    """
    done, drains = [], count()
    restoring = drains_until_restored > 0

    def write():
        storage = storages["default"]
        for number, action in enumerate(scenario["script"]):
            content, entry = b"%d" % number, [action, None]
            done.append(entry)
            try:
                if action == "save":
                    entry[1] = storage.save("a", ContentFile(content)) == "a" and content
                elif action == "delete":
                    storage.delete("a")
                    entry[1] = True
                else:
                    with storage.open("a", "wb") as file:
                        file.write(content)
                    entry[1] = content
            except (ReplicationError, OSError):
                return  # the caller knows

    def restore():
        storage = storages["default"]
        wanted = Wanted("a", "near", {"near": len(OLD), "far": None})
        [*Bringing(storage, Hosts(storage, None), ["default"], lambda: None).bring([wanted])]

    def drain_and_look():
        nonlocal restoring
        drain()
        if restoring and next(drains) >= drains_until_restored:
            assert world.hosts["near"].get("a") == OLD, "it was removed while the master copy was restored"
            restoring = False

    with opened(scenario, monkeypatch) as (world, location), monkeypatch.context() as patch:
        if restoring:
            patch.setattr(Belief, "is_restoring", property(lambda belief: restoring))
        world.play_out(scenario, [write, restore], drain_and_look, rounds=6, pause=LEASE + GRACE)
        master = (location / "a").read_bytes() if (location / "a").exists() else None
        return problem(done, master, [world.hosts[host].get("a") for host in ("near", "far")])


def problem(done, master, hosts):
    """Return what is wrong when all is quiet."""
    if Pending.objects.exists():
        return "something is pending for ever"
    done = [entry for entry in done if entry[1] is not False]  # another name was taken
    if not done and OLD not in (master, *hosts):
        return "nobody has touched it, and it is lost"
    is_touched = master is not None or any(outcome is not None for _, outcome in done)
    if is_touched and any(host != master for host in hosts):
        return f"the master copy has {master}, hosts have {hosts}"
    if not done:
        return ""
    action, outcome = done[-1]
    if outcome is None:
        return ""  # it was killed, and nothing was acknowledged
    if action == "delete":
        return "" if master is None else "a deleted file is back"
    return "" if master == outcome else "an acknowledged save is gone"


@settings(max_examples=2 * BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS)
def test_nothing_deleted_comes_back_and_nothing_saved_is_lost(monkeypatch, scenario):
    assert play(scenario, monkeypatch) == ""


@settings(max_examples=BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS, drains=st.integers(1, 3), deletions=st.integers(0, 2))
def test_nothing_is_removed_from_hosts_while_files_are_brought_back(monkeypatch, scenario, drains, deletions):
    """And what was deleted meanwhile is gone from everywhere in the end."""
    scenario = scenario | {"script": ["delete"] * deletions}
    assert play(scenario, monkeypatch, drains_until_restored=drains) == ""


# Without any one of the rules.


def deletions_leave_the_temporary_file(patch):
    patch.setattr(copy, "restored_name", lambda name: f"{restored_name(name)}-another")


def deletions_remove_the_temporary_file_too_late(patch):
    deletions_leave_the_temporary_file(patch)
    original = MasterCopy.delete

    def delete(self, name):
        original(self, name)
        self.discard(restored_name(name))

    patch.setattr(MasterCopy, "delete", delete)


def look_at_the_rows_before_the_temporary_file_exists(patch):
    original, look = Bringing._begin, bringing.pending_of

    def begin(self, part):
        found = look(self._aliases, [one.name for one in part])
        patch.setattr(bringing, "pending_of", lambda aliases, names: found)
        return original(self, part)

    patch.setattr(Bringing, "_begin", begin)


def look_at_no_rows(patch):
    patch.setattr(bringing, "pending_of", lambda aliases, names: {})


def open_rows_as_others_do(patch):
    patch.setattr(opening, "RESTORED", "")


def open_no_rows(patch):
    patch.setattr(bringing, "open_restored", lambda storage, hosts, names: dict.fromkeys(names))


def leave_rows_marked_while_sending(patch):
    patch.setattr(bringing, "make_as_others", lambda storage, held: None)


def replace_what_is_there(patch):
    original = Root.publish

    def publish(self, temporary, name, *, replace):
        is_restored = f"{TEMPORARY_PREFIX}restore-" in temporary
        return original(self, temporary, name, replace=replace or is_restored)

    patch.setattr(Root, "publish", publish)


# Found by the search below, which is done again where the steps have become other ones.
QUIET = {"script": ["delete"], "times": [], "arrives": [False] * 4, "faults": [], "crashes": []}
WRITER, RESTORE = 0, 1


def turns(*pairs):
    """A schedule in which one makes so many steps, then another one."""
    return [actor for actor, steps in pairs for _ in range(steps)]


BREAKING = {
    deletions_leave_the_temporary_file: QUIET | {"schedule": turns((RESTORE, 4), (WRITER, 4), (RESTORE, 40))},
    deletions_remove_the_temporary_file_too_late: QUIET | {"schedule": turns((RESTORE, 4), (WRITER, 4), (RESTORE, 40))},
    look_at_the_rows_before_the_temporary_file_exists: QUIET
    | {"schedule": turns((RESTORE, 2), (WRITER, 4), (RESTORE, 40))},
    look_at_no_rows: QUIET | {"schedule": turns((WRITER, 4), (RESTORE, 40))},
    open_rows_as_others_do: QUIET | {"script": [], "crashes": [0] * 4 + [1], "schedule": turns((RESTORE, 60))},
    open_no_rows: QUIET | {"script": [], "crashes": [0] * 6 + [1], "schedule": turns((RESTORE, 60))},
    leave_rows_marked_while_sending: QUIET
    | {"faults": [0, 0, 0, 2], "arrives": [True] * 4, "schedule": turns((RESTORE, 45))},
    replace_what_is_there: QUIET | {"script": ["save"], "schedule": turns((RESTORE, 4), (WRITER, 3), (RESTORE, 40))},
}


def alike(scenario):
    """Scenarios with the same actors, in which others make more or fewer steps."""
    for steps in range(60) if scenario["crashes"] else ():
        yield scenario | {"crashes": [0] * steps + [1]}
    for first, second in product(range(45), range(40)) if not scenario["crashes"] else ():
        yield scenario | {"schedule": turns((RESTORE, first), (WRITER, second), (RESTORE, 40))}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_the_law_is_broken_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something: eight faults."""

    def breaks_the_law(scenario):
        assert play(scenario, monkeypatch) == ""
        with monkeypatch.context() as patch:
            mutate(patch)
            return play(scenario, patch) != ""

    assert any(map(breaks_the_law, chain([BREAKING[mutate]], alike(BREAKING[mutate]))))
