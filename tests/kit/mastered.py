"""A world in which a storage with a master copy is written to."""

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
def opened(scenario, monkeypatch, hosts=("host",), backend="resto.storage.HybridStorage"):
    """Open the world of a scenario; yield it, and where the master copy is."""
    world = World(scenario)
    with ExitStack() as stack:
        location = stack.enter_context(tempfile.TemporaryDirectory())
        (Path(location) / "other").touch()  # else it could be a mount point
        options = {
            "location": location,
            "transport": WorldTransport,
            "transport_options": {"world": world},
            "executor": UnorderedExecutor,
            "allow_overwrite": True,
            "fatal_exceptions": scenario["fatal"],
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
        storage = storages["default"]
        assert storage.problems() == []
        if scenario["behind"]:  # the hosts have missed something, and that is due
            (Path(location) / "a").write_bytes(b"old")
            storage.open_lease("a", hosts, present=True).release(0)
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
