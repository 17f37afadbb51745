"""A world in which a storage with a master copy is written to."""

import itertools
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings

from kit.staging import UnorderedExecutor
from kit.world import World, WorldTransport, live_in, pause_at_the_master_copy
from resto.exceptions import ReplicationError


LEASE, GRACE = 300, 60


@contextmanager
def standing(world, monkeypatch, hosts=("host",), backend="resto.storage.HybridStorage", **more):
    """Let the default storage be one of a world, with more options; yield where the master copy is, and what patches until the end."""
    with ExitStack() as stack:
        location = stack.enter_context(tempfile.TemporaryDirectory())
        (Path(location) / "other").touch()  # else it could be a mount point
        options = {
            "location": location,
            "transport": WorldTransport,
            "transport_options": {"world": world},
            "executor": UnorderedExecutor,
            **more,
        }
        storage_settings = {"default": {"BACKEND": backend, "OPTIONS": options}}
        stack.enter_context(
            override_settings(
                RESTO_MEDIA_HOSTS=list(hosts), STORAGES=storage_settings, RESTO_LEASE=LEASE, RESTO_GRACE=GRACE
            )
        )
        patch = stack.enter_context(monkeypatch.context())
        live_in(world, patch)
        pause_at_the_master_copy(patch, world)
        assert storages["default"].problems() == []
        yield Path(location), patch


@contextmanager
def opened(scenario, monkeypatch, hosts=("host",), backend="resto.storage.HybridStorage"):
    """Open the world of a scenario; yield it, and where the master copy is."""
    world, more = World(scenario), {"allow_overwrite": True, "fatal_exceptions": scenario["fatal"]}
    with standing(world, monkeypatch, hosts, backend, **more) as (location, _):
        if scenario["behind"]:  # the hosts have missed something, and that is due
            (location / "a").write_bytes(b"old")
            storages["default"].open_lease("a", hosts, present=True).release(0)
        yield world, location


def write(number, script):
    """Do what a script says, as the writer of a number."""
    storage = storages["default"]
    for step, action in enumerate(script):
        content = b"%d%d" % (number, step)
        try:
            if action == "save":
                storage.save("a", ContentFile(content))
            elif action == "delete":
                storage.delete("a")
            else:
                with storage.open("a", "ab") as file:
                    file.write(content)
        except (ReplicationError, OSError):
            pass  # the caller knows


def scheduled(moves, steps):
    """Return the schedule in which actors move, each for some steps."""
    return [actor for actor, number in zip(moves, steps, strict=True) for _ in range(number)]


def nearby(steps, *, most):
    """Yield numbers of steps that are a little more or fewer; if there are more than so many numbers, by one only."""
    radius = 1 if len(steps) > most else 4
    return itertools.product(*[range(max(number - radius, 1), number + radius + 1) for number in steps])
