"""Nothing is destroyed: a directory is unmounted, swapped for an old copy, emptied and restored, between any two steps.

The real storage, replication, record and drain run, and an operator who moves directories. Whatever was acknowledged is in the master
copy in the end, and on the host. Without any one of the rules of `resto.storage.belief`, something is lost.
"""

import logging
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from itertools import chain, count, groupby
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.staging import UnorderedExecutor
from kit.world import World, WorldTransport, live_in, pause_at_the_master_copy, paused
from resto.exceptions import ConfigurationError, ReplicationError
from resto.master import proven
from resto.master.identity import Proof
from resto.master.proven import ProvenDirectory
from resto.master.root import Root
from resto.models import Host, Pending
from resto.record import database
from resto.repair.drain import drain
from resto.storage import AsyncStorage, HybridStorage, beginning, belief
from resto.storage.belief import Belief


pytestmark = pytest.mark.django_db(transaction=True)

BUDGET = settings.default.max_examples
LEASE, GRACE = 300, 60
IDENTITY = ".resto.master"
OPERATIONS = ["unmount", "mount", "older", "empty", "restore"]

SCENARIOS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([HybridStorage, AsyncStorage]),
        "behind": st.booleans(),
        "script": st.lists(st.sampled_from(["save", "delete", "move"]), max_size=3),
        "operator": st.lists(st.sampled_from(OPERATIONS), max_size=4),
        "schedule": st.lists(st.integers(0, 2), max_size=80),
        "crashes": st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), max_size=40),
    }
)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


class Operator:
    """Moves the directory of a master copy, which has an old copy, too; see `OPERATIONS`."""

    def __init__(self, world, location):
        self._world, self._location = world, location
        self._away, self._older = location.parent / "away", location.parent / "older"
        self._kept, self._numbers = None, count()
        shutil.copytree(location, self._older)

    def work(self, operations):
        for operation in operations:
            self._world.stage.pause()
            getattr(self, operation)()

    def unmount(self):
        if not self._away.exists() and self._kept is None:
            self._location.rename(self._away)
            self._location.mkdir()

    def move(self):
        """Let another disk take the place of this one, while nobody else writes."""
        if not self._away.exists() and self._kept is None:
            former = self._location.with_name(f"former-{next(self._numbers)}")
            self._location.rename(former)
            shutil.copytree(former, self._location)

    def mount(self):
        if self._away.exists():
            self._location.rename(self._away.with_name(f"below-{next(self._numbers)}"))
            self._away.rename(self._location)

    def older(self):
        self.unmount()
        if self._away.exists():
            shutil.rmtree(self._location)
            shutil.copytree(self._older, self._location)

    def empty(self):
        """Make a backup, and remove the identity first, as the documentation wants it."""
        if self._away.exists() or self._kept is not None:
            return
        self._kept = {
            name: (self._location / name).read_bytes() for name in (IDENTITY, "a", "other") if self._has(name)
        }
        (self._location / IDENTITY).unlink()
        self._world.stage.pause()
        for path in [*self._location.iterdir()]:
            path.unlink(missing_ok=True)

    def _has(self, name):
        return (self._location / name).exists()

    def restore(self):
        """Bring the identity back last."""
        if self._kept is None:
            return
        identity = self._kept.pop(IDENTITY)
        for name, content in self._kept.items():
            (self._location / name).write_bytes(content)
        self._world.stage.pause()
        (self._location / IDENTITY).write_bytes(identity)
        self._kept = None

    def leave(self):
        """Put everything in its place."""
        self.mount()
        self.restore()


@contextmanager
def opened(scenario, monkeypatch, mutate):
    """Open the world of a scenario: a master copy that is believed, an older copy of it, and a host that may have missed something."""
    world = World({"faults": [], **scenario})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        location = folder / "media"
        options = {
            "hosts": ["host"],
            "location": str(location),
            "transport": WorldTransport,
            "transport_options": {"world": world},
            "executor": UnorderedExecutor,
            "allow_overwrite": True,
        }
        backend = f"resto.storage.{scenario['kind'].__name__}"
        storage_settings = {"default": {"BACKEND": backend, "OPTIONS": options}}
        stack.enter_context(override_settings(STORAGES=storage_settings, RESTO_LEASE=LEASE, RESTO_GRACE=GRACE))
        patch = stack.enter_context(monkeypatch.context())
        patch.setattr(database, "is_under_test", lambda: False)
        live_in(world, patch)
        Host.objects.all().delete()
        patch.setattr(belief, "monotonic", lambda: world.now)
        patch.setattr(beginning, "occupied_host", lambda transports: None)
        pause_at_the_master_copy(patch, world)
        for owner, method in ((Root, "__init__"), (Root, "open"), (Belief, "prove")):
            patch.setattr(owner, method, paused(world, getattr(owner, method)))
        storage = storages["default"]
        for name in ("a", "other"):  # a directory with one file more is no mount point
            storage.save(name, ContentFile(b"old"))
        operator = Operator(world, location)
        world.now += belief.MARKED_FOR  # by now the older copy is one
        storage.save("other", ContentFile(b"new"))
        if scenario["behind"]:
            storage.open_lease("a", ("host",), present=True).release(0)
        storage.belief.forget()
        mutate(patch)
        delete = WorldTransport.delete
        patch.setattr(WorldTransport, "delete", lambda *args: world.removed.append(args[1:]) or delete(*args))
        world.removed = []
        yield world, location, scenario["kind"](**options), operator


def keep_all_rules(patch):
    pass


def play(scenario, monkeypatch, mutate=keep_all_rules):
    """Play a scenario until all is quiet; return what may be there, the master copy, the host, how many rows are left, and what was removed."""
    with opened(scenario, monkeypatch, mutate) as (world, location, storage, operator):
        expected = {b"old"}

        def write():
            nonlocal expected
            for number, action in enumerate(scenario["script"]):
                if action == "move":
                    operator.move()
                    continue
                after, before = b"%d" % number if action == "save" else None, expected
                expected = before | {after}  # also if this process is gone
                try:
                    storage.save("a", ContentFile(after)) if action == "save" else storage.delete("a")
                except (ConfigurationError, ReplicationError, OSError, DatabaseError):
                    continue  # the caller knows
                expected = {after}

        world.play_out(
            {"times": [], "arrives": [True], **scenario},
            [write, lambda: operator.work(scenario["operator"])],
            drain,
            rounds=0,
            pause=0,
        )
        operator.leave()
        for _ in range(4):
            world.pass_time(LEASE + GRACE, arrives=True)
            drain()
        master = location / "a"
        there = master.read_bytes() if master.exists() else None
        return expected, there, world.hosts["host"].get("a"), Pending.objects.count(), world.removed


def is_lost(scenario, monkeypatch, mutate):
    """Tell whether something that was acknowledged is not there, or was removed from a host unasked, or nobody knows that a host differs."""
    expected, master, host, left, removed = play(scenario, monkeypatch, mutate)
    is_unasked = bool(removed) and "delete" not in scenario["script"]
    return master not in expected or is_unasked or (host != master and not left)


@settings(max_examples=BUDGET, suppress_health_check=[*HealthCheck])
@given(scenario=SCENARIOS)
def test_what_was_acknowledged_is_there_whatever_becomes_of_the_directory(monkeypatch, scenario):
    expected, master, host, left, removed = play(scenario, monkeypatch)
    assert master in expected
    assert (host, left) == (master, 0)
    assert "delete" in scenario["script"] or removed == []


# Without any one of the rules.


def believe_in_anything(patch):
    patch.setattr(Belief, "prove", lambda *args, **kwargs: None)
    patch.setattr(Belief, "require", lambda self: True)


def look_by_path(patch):
    """The path may lead elsewhere by then."""

    def by_path(function):
        def look(root):
            location = Path(f"/proc/self/fd/{root}").readlink().with_name("media")
            with Root(str(location)) as other:
                return function(other.descriptor)

        return look

    patch.setattr(belief, "seal_of", by_path(belief.seal_of))
    patch.setattr(belief, "read_identity", by_path(belief.read_identity))


def take_the_same_content_for_the_same_file(patch):
    prove = Belief.prove
    patch.setattr(Belief, "prove", lambda self, root, proof, **kwargs: prove(self, root, Proof(), **kwargs))


def prove_before_looking(patch):
    @contextmanager
    def looking(self, name, proof=None):
        with self.opened() as root:
            self.prove(root, name, proof or Proof())
            yield root

    patch.setattr(ProvenDirectory, "looking", looking)


def acknowledge_without_a_look_at_the_identity(patch):
    @contextmanager
    def changing(self, name, proof=None, *, makes=False):
        proof = proof or Proof()
        with self.opened(makes=makes) as root:
            self.prove(root, name, proof, is_save=makes)
            yield root

    patch.setattr(ProvenDirectory, "changing", changing)


def know_no_marks(patch):
    problem_of = belief.problem_of

    def without_marks(location, found, known):
        problem = problem_of(location, found, known)
        return None if problem is not None and "copy or a backup" in problem.problem else problem

    patch.setattr(belief, "problem_of", without_marks)


def keep_the_directory_open(patch):
    opened, kept = ProvenDirectory.opened, {}

    def open_once(self, *, makes=False):
        if id(self) not in kept:
            kept[id(self)] = opened(self, makes=makes)
        return kept[id(self)]

    patch.setattr(ProvenDirectory, "opened", open_once)
    patch.setattr(Root, "__exit__", lambda self, *exc_info: None)


def forget_what_may_have_been_written(patch):
    patch.setattr(proven, "ReplacedMeanwhileError", ConfigurationError)


# Found by a search, and made small. Each is a script, what the operator does, and who moves: 0 and 1 are the script, if there is one,
# and the operator, then the drains. Whoever changes the steps of the protocol may have to search again; see `around`.
SAVE = {"kind": HybridStorage, "behind": False, "script": ["save"], "crashes": []}
DRAIN = {"kind": HybridStorage, "behind": True, "script": [], "operator": ["empty", "restore"], "crashes": []}
BREAKING = {
    believe_in_anything: SAVE | {"operator": ["unmount", "mount"], "schedule": [1, 1]},
    know_no_marks: SAVE | {"operator": ["older", "mount"], "schedule": [1, 1]},
    look_by_path: SAVE | {"operator": ["unmount", "mount"], "schedule": [1, 1, 0, 0, 0, 1]},
    acknowledge_without_a_look_at_the_identity: SAVE
    | {"kind": AsyncStorage, "operator": ["empty", "restore"], "schedule": [0, 0, 0, 1, 1]},
    keep_the_directory_open: SAVE | {"script": ["save", "move", "save"], "operator": [], "schedule": [0]},
    forget_what_may_have_been_written: SAVE
    | {"script": ["delete", "save"], "operator": ["empty", "restore"], "schedule": [0] * 20 + [1] * 3 + [0] * 3 + [1]},
    take_the_same_content_for_the_same_file: DRAIN | {"schedule": [0] + [1] * 32 + [0] * 3 + [1] + [0] * 3},
    prove_before_looking: DRAIN | {"schedule": [0] + [1] * 28 + [0] * 3 + [1] + [0] * 3},
}


def around(scenario):
    """Yield scenarios in which the same happens some steps earlier or later."""
    first, *rest = [list(moves) for _, moves in groupby(scenario["schedule"])]
    yield scenario
    for number, moves in enumerate(rest):
        for length in range(1, 60):
            changed = [*rest[:number], moves[:1] * length, *rest[number + 1 :]]
            yield scenario | {"schedule": [*first, *chain(*changed)]}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_something_is_lost_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something."""
    lost = next(one for one in around(BREAKING[mutate]) if is_lost(one, monkeypatch, mutate))
    assert not is_lost(lost, monkeypatch, keep_all_rules)
