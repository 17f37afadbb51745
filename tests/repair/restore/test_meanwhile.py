"""What the site, drains and comparisons do while a master copy is being restored."""

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from kit.record import files, pending_for
from kit.restored import ALL
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Pending
from resto.record import leases
from resto.record.attempts import Attempt, attempting
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
    assert not restoring.exists("x" * 256)  # for which hosts have no answer
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


def later(act):
    """Act when all leases have ended."""
    now = leases.clock() + 1_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "clock", lambda: now)
        return act()


@pytest.mark.parametrize("kind", ["HybridStorage", "AsyncStorage"])
@pytest.mark.parametrize("is_here", [True, False])
@pytest.mark.parametrize("is_fatal", [True, False])
def test_deletion_removes_nothing_from_hosts_before_the_restore_has_come_to_its_end(
    make, restoring, run, servers, media_root, kind, is_here, is_fatal
):
    if is_here:
        run(restoring, prefix="d")
    storage = make(kind, fatal_exceptions=is_fatal)
    storage.delete("d/b")
    assert not storage.exists("d/b")
    assert not (media_root / "d/b").exists()
    with pytest.raises(FileNotFoundError):
        storage.open("d/b")
    with pytest.raises(FileNotFoundError):
        storage.size("d/b")
    assert (later(drain).left, files(servers)) == (2, [ALL] * 2)
    report = run(storage)
    assert (report.is_complete, report.is_restoring, "d/b" in run.kinds) == (True, False, False)
    assert files(servers) == [ALL] * 2
    assert later(lambda: later(drain)).removed == 2
    assert [one.keys() for one in files(servers)] == [ALL.keys() - {"d/b"}] * 2
    assert Pending.objects.count() == 0


@pytest.mark.parametrize("how", [{"from_any": True}, {"source": 0}])
def test_nothing_brings_back_what_was_deleted(restoring, run, hosts, media_root, how):
    restoring.delete("a")
    if "source" in how:
        how = {"source": hosts[0]}
    assert run(restoring, **how).is_complete
    assert not (media_root / "a").exists()


@pytest.mark.parametrize("how", ["save", "append", "create"])
def test_name_of_a_deleted_file_can_be_used_again(restoring, run, servers, how):
    restoring.delete("a")
    if how == "save":
        assert restoring.save("a", ContentFile(b"new")) == "a"
    else:
        with restoring.open("a", "ab" if how == "append" else "xb") as file:
            file.write(b"new")
    assert files(servers) == [ALL | {"a": b"new"}] * 2
    assert run(restoring).is_complete
    later(drain)
    assert files(servers) == [ALL | {"a": b"new"}] * 2


def test_deletion_that_cannot_be_recorded_is_refused(restoring, run, media_root):
    run(restoring, prefix="d")
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(ConfigurationError, match="is being restored"):
            restoring.delete("d/b")
    assert (media_root / "d/b").exists()


def test_deletion_is_recorded_once_more_if_a_form_is_not_saved(restoring):
    attempt = Attempt()
    with attempting(attempt), transaction.atomic():
        restoring.delete("a")
        transaction.set_rollback(True)
    assert pending_for() == []
    attempt.undo()
    assert len(pending_for()) == 2
    assert not restoring.exists("a")


def test_save_that_is_undone_removes_nothing(make, restoring, servers):
    servers[1].refuse_code = 500
    with pytest.raises(ReplicationError, match="the save was undone, except on"):
        make(fatal_exceptions=True).save("new", ContentFile(b"new"))
    assert files(servers) == [ALL | {"new": b"new"}, ALL]
    assert not restoring.exists("new")


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
