"""Disks are unmounted, swapped, copied, emptied, restored and lost, and hosts swapped and wiped, while a site goes on.

Whatever was acknowledged is everywhere in the end, and nothing that was deleted is back. What is refused is refused in one sentence. A run is
a sequence of operations that chance decides; `make explore` has a hundred times as many.
"""

import logging
import random
import shutil
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from hypothesis import settings as profiles

from kit.record import files
from resto import health
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Pending
from resto.record import leases
from resto.repair.adoption import Adoption
from resto.repair.drain import drain
from resto.repair.restore import RestoreOptions, restore
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import belief, recognition


pytestmark = [
    pytest.mark.django_db(transaction=True, available_apps=["resto"]),
    pytest.mark.usefixtures("identities_apply"),
]

# 3 000 of them in two runs, or 200 000 in four where there is time.
RUNS = 1 if profiles.default.max_examples <= 100 else 4
OPERATIONS = 750 if profiles.default.max_examples <= 100 else 50_000

NAMES = ["a", "b", "d/a", "d/e/c"]


class Torture:
    """A site with two hosts and a master copy, what is done to them, and what they should have.

    Attributes:
        files: Name -> the contents that the file may have; None stands for its absence.
    """

    def __init__(self, chance, storage, servers, clock, folder):
        self._chance, self._storage, self._servers, self._clock = chance, storage, servers, clock
        self._media, self._away, self._copies = folder / "media", folder / "away", folder / "copies"
        self._kept, self._is_wiped, self._number = None, None, 0
        self.files, self.done, self.refusals = {}, Counter(), set()
        self.save("a")

    def act(self):
        operation = self._chance.choices(*zip(*WEIGHTS.items(), strict=True))[0]
        self.done[operation.__name__] += 1
        operation(self, self._chance.choice(NAMES))

    # What the site does.

    def save(self, name):
        self._number += 1
        content = b"%d" % self._number
        self._change(name, content, lambda: self._storage.save(name, ContentFile(content)))

    def write(self, name):
        self._number += 1
        content = b"%d" % self._number

        def write():
            with self._storage.open(name, "wb") as file:
                file.write(content)
            return name

        self._change(name, content, write)

    def delete(self, name):
        self._change(name, None, lambda: self._storage.delete(name) or name)

    def _change(self, name, content, change):
        before = self.files.get(name, {None})
        try:
            saved = change()
        except ConfigurationError as error:
            self._note(error)
            self.files[name] = before | {content} if "restored" in str(error) else before
        except (ReplicationError, OSError):
            self.files[name] = before | {content}
        else:
            assert saved == name
            self.files[name] = {content}

    def drain(self, name):
        self._clock[0] += 2
        drain()

    def compare(self, name):
        report = synchronize(self._storage, SyncOptions(delete=True, force=True), lambda event: None)
        assert all("\n" not in problem for problem in report.problems)

    def wait(self, name):
        self._clock[0] += self._chance.choice([10, 100, 1_000, 4_000])

    def _note(self, error):
        assert "\n" not in str(error)
        self.refusals.add(str(error).partition(" (")[0].replace(str(self._media), "MEDIA_ROOT"))

    # What becomes of disks.

    def _is_in_place(self):
        return not self._away.exists() and self._kept is None

    def unmount(self, name):
        if self._is_in_place():
            self._media.rename(self._away)
            self._media.mkdir()

    def mount(self, name):
        if self._away.exists():
            shutil.rmtree(self._media)
            self._away.rename(self._media)

    def back_up(self, name):
        if self._is_in_place() and len([*self._copies.glob("*")]) < 3:
            shutil.copytree(self._media, self._copies / str(self._number), dirs_exist_ok=True)
            self._clock[0] += belief.MARKED_FOR  # one of this hour cannot be told from the master copy
            with suppress(ConfigurationError, ReplicationError, OSError):
                self._storage.belief.require()

    def mount_backup(self, name):
        backups = sorted(self._copies.glob("*"))
        if backups:
            self.unmount(name)
            if self._away.exists():
                shutil.rmtree(self._media)
                shutil.copytree(self._chance.choice(backups), self._media)

    def mount_another(self, name):
        self.unmount(name)
        if self._away.exists():
            (self._media / ".resto.master").write_text("id 1\nmark 2\n")

    def empty(self, name):
        if self._is_in_place():
            self._kept = {path: path.read_bytes() for path in self._media.rglob("*") if path.is_file()}
            for path in sorted(self._kept, key=lambda path: path.name != ".resto.master"):
                path.unlink()

    def bring_back(self, name):
        if self._kept is not None:
            for path in sorted(self._kept, key=lambda path: path.name == ".resto.master"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._kept[path])
            self._kept = None

    def lose(self, name):
        """A disk dies that hosts have all files of; it is replaced, and restored from them."""
        if not self._is_in_place() or self._is_wiped is not None or not self._are_equal():
            return
        shutil.rmtree(self._media)
        self._media.mkdir()
        self.save(name)  # which is refused
        self._storage.belief.forget()
        report = restore(self._storage, RestoreOptions(), lambda finding: None)
        assert report.is_complete, [report.problems, [host.problems for host in report.hosts]]

    def _are_equal(self):
        recognition._verdicts.clear()
        proven = self._storage.recognition.examine().values()
        expected = {name: next(iter(contents)) for name, contents in self.files.items() if contents != {None}}
        is_certain = all(len(contents) == 1 for contents in self.files.values())
        return (
            is_certain
            and not Pending.objects.exists()
            and all(one.kind == "sound" for one in proven)
            and files(self._servers) == [expected] * len(self._servers)
        )

    # What becomes of hosts.

    def wipe(self, name):
        """A host loses its disk, which is replaced."""
        if self._is_wiped is None:
            self._is_wiped = self._chance.choice(self._servers)
            for one in [*self._is_wiped.files]:
                self._is_wiped.delete_file(one)

    def adopt_wiped(self, name):
        if self._is_wiped is not None and not self._is_wiped.refuse:
            with suppress(ConfigurationError):
                Adoption("default", self._storage, [self._is_wiped.url]).carry_out()
                self._is_wiped = None

    def swap(self, name):
        """Two hosts change their places, and back."""
        first, second = self._servers
        if self._is_wiped is None:
            contents = dict(first.files), dict(second.files)
            for server, content in ((first, contents[1]), (second, contents[0])):
                for one in [*server.files]:
                    server.delete_file(one)
                for one, data in content.items():
                    server.create_file(one, data)

    def stop(self, name):
        self._chance.choice(self._servers).refuse = True

    def start(self, name):
        for server in self._servers:
            server.refuse = False

    # The end.

    def heal(self):
        for put_in_place in (self.mount, self.bring_back, self.start, self.adopt_wiped):
            put_in_place("a")
        for host in self._storage.hosts:  # those that were swapped are what they are by now
            Adoption("default", self._storage, [host]).carry_out()
        self._storage.belief.forget()
        recognition._verdicts.clear()
        for _ in range(3):
            self._clock[0] += 100_000
            drain()
        # Of a host that was adopted as it is, sizes alone tell too little.
        options = SyncOptions(delete=True, force=True, checksum=True)
        report = synchronize(self._storage, options, lambda event: None)
        assert report.agrees, [report.problems, *(host.problems for host in report.hosts)]

    def check(self):
        here = {
            path.relative_to(self._media).as_posix(): path.read_bytes()
            for path in self._media.rglob("*")
            if path.is_file() and not path.name.startswith(".resto")
        }
        for name, contents in self.files.items():
            assert here.get(name) in contents, name
        assert here.keys() <= self.files.keys()
        assert files(self._servers) == [here] * len(self._servers)
        assert Pending.objects.count() == 0


WEIGHTS = {
    Torture.save: 20,
    Torture.write: 8,
    Torture.delete: 12,
    Torture.drain: 10,
    Torture.compare: 3,
    Torture.wait: 5,
    Torture.unmount: 2,
    Torture.mount: 6,
    Torture.back_up: 1,
    Torture.mount_backup: 2,
    Torture.mount_another: 1,
    Torture.empty: 2,
    Torture.bring_back: 6,
    Torture.lose: 2,
    Torture.wipe: 1,
    Torture.adopt_wiped: 3,
    Torture.swap: 1,
    Torture.stop: 2,
    Torture.start: 6,
}


@pytest.mark.hypothesis
@pytest.mark.parametrize("run", range(RUNS))
def test_nothing_is_lost_and_nothing_comes_back(
    run, settings, resto_server_factory, tmp_path, monkeypatch, caplog, record_property
):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, lambda: clock[0], lambda low, high: 1))
    for module in (leases, belief, recognition):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    servers = [resto_server_factory() for _ in range(2)]
    (tmp_path / "copies").mkdir()
    options = {
        "hosts": [server.url for server in servers],
        "location": str(tmp_path / "media"),
        "transport": "webdav",
        "executor": "inline",
        "fatal_exceptions": False,
        "allow_overwrite": True,
    }
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    seed = random.getrandbits(32)  # follows from the seed of the whole run
    record_property("seed", seed)
    print("seed", seed)  # noqa: T201 - shown if it fails
    torture = Torture(random.Random(seed), storages["default"], servers, clock, tmp_path)
    for number in range(OPERATIONS):
        torture.act()
        if number % 250 == 249:
            torture.heal()
            torture.check()
    assert len(torture.refusals) > 1
