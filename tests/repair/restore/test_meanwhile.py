"""What the site, drains and comparisons do while a master copy is being restored."""

import pytest
from django.core.files.base import ContentFile

from kit.record import files, pending_for
from kit.restored import ALL
from resto.exceptions import ConfigurationError
from resto.models import Pending
from resto.record import leases
from resto.record.turns import Turn
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize
from resto.storage.restoring import begin_restore


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])


@pytest.fixture
def restoring(lost):
    begin_restore(lost.location, lost.belief)
    return lost


def test_files_are_read_from_hosts(restoring):
    with restoring.open("d/b") as file:
        assert file.read() == b"d/b"
    assert (restoring.exists("d/b"), restoring.size("d/b")) == (True, 3)
    assert not restoring.exists("none")
    with pytest.raises(FileNotFoundError):
        restoring.open("none")


def test_files_are_read_from_hosts_that_have_missed_nothing(restoring, servers):
    servers[0].create_file("a", b"older")
    restoring.open_lease("a", restoring.hosts[:1], present=True)
    with restoring.open("a") as file:
        assert file.read() == b"a"


def test_save_takes_no_name_that_a_host_has(restoring, servers):
    name = restoring.save("a", ContentFile(b"new"))
    assert name != "a"
    assert files(servers) == [ALL | {name: b"new"}] * 2
    assert restoring._save("d/b", ContentFile(b"new")) != "d/b"  # whoever does not ask whether it exists
    assert Pending.objects.count() == 0


def test_save_goes_on_while_a_host_is_down(restoring, servers):
    servers[0].refuse = True
    assert restoring.save("a", ContentFile(b"new")) != "a"
    assert restoring.save("new", ContentFile(b"new")) == "new"


def test_appending_waits_until_the_file_is_there(restoring, run):
    with pytest.raises(ConfigurationError, match="still to be restored"):
        restoring.open("a", "ab")
    with pytest.raises(FileExistsError):
        restoring.open("a", "xb")
    run(restoring)
    with restoring.open("a", "ab") as file:
        file.write(b"+")
    with restoring.open("a") as file:
        assert file.read() == b"a+"


def test_deleted_files_do_not_come_back(restoring, run, servers, media_root):
    servers[0].refuse = True
    restoring.delete("a")
    servers[0].heal()
    assert not restoring.exists("a")
    assert run(restoring).is_complete
    assert "a" not in run.kinds
    later = leases.clock() + 1_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "clock", lambda: later)
        drain()
    assert [one.keys() for one in files(servers)] == [ALL.keys() - {"a"}] * 2


def test_drain_removes_nothing(restoring, servers, media_root):
    restoring.open_lease("a", restoring.hosts, present=True).release(0)
    restoring.open_lease("d/b", restoring.hosts, present=False).release(0)
    (media_root / "here").write_bytes(b"here")
    restoring.open_lease("here", restoring.hosts, present=True).release(0)
    drained = drain()
    assert (drained.done, drained.failed, drained.left) == (2, 0, 4)
    assert files(servers) == [ALL | {"here": b"here"}] * 2
    assert len(pending_for()) == 4


@pytest.mark.parametrize("action", ["upload", "update", "remove"])
def test_worker_removes_nothing(make, restoring, servers, action):
    storage = make("AsyncStorage")
    performed = storage.perform(action, storage.hosts, "a")
    assert all("is being restored" in str(outcome.error) for outcome in performed.outcomes)
    assert files(servers) == [ALL] * 2
    assert len(pending_for()) == 2


def test_nothing_is_published_that_is_missing(restoring, servers):
    with pytest.raises(ConfigurationError, match="is being restored"):
        restoring.publish("a")
    with pytest.raises(ConfigurationError, match="is being restored"):
        restoring.repair(restoring.hosts[0], "a")
    assert files(servers) == [ALL] * 2


def test_comparison_removes_nothing(restoring, servers):
    report = synchronize(restoring, SyncOptions(delete=True, force=True), lambda event: None)
    assert not report.agrees
    assert "is being restored" in report.problems[0]
    assert files(servers) == [ALL] * 2


def test_no_comparison_removes_anything_while_somebody_restores(lost, run):
    run(lost)
    with Turn("default", "restore"):
        report = synchronize(lost, SyncOptions(delete=True), lambda event: None)
        assert "another restore of STORAGES['default'] is under way" in report.problems[0]
        assert synchronize(lost, SyncOptions(), lambda event: None).agrees
    assert synchronize(lost, SyncOptions(delete=True), lambda event: None).agrees
