"""What is brought back, and what the master copy is meanwhile."""

import os
import shutil
from datetime import UTC, datetime

import pytest
from django.core.files.base import ContentFile

from kit.record import pending_for
from resto.exceptions import ConfigurationError
from resto.models import Host, Pending
from resto.names import restored_name
from resto.record import identities, leases
from resto.record.opening import open_restored
from resto.record.turns import Turn
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize
from resto.storage.restoring import begin_restore


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])


def files_below(directory):
    found = {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
    found.pop(".resto.master", None)
    return found


ALL = {name: name.encode() for name in ("a", "d/b", "d/e/c")}


def state():
    return Host.objects.get(host="").state


# A lost disk.


def test_all_files_come_back_and_the_directory_is_the_master_copy(lost, run, media_root, servers):
    with pytest.raises(ConfigurationError, match="not the master copy"):
        lost.save("new", ContentFile(b"new"))
    assert run(lost).is_complete
    assert run.kinds == dict.fromkeys(ALL, "restored")
    assert (run.report.counts["restored"], run.report.size) == (3, sum(map(len, ALL.values())))
    assert files_below(media_root) == ALL
    assert (state(), Pending.objects.count()) == ("", 0)
    assert lost.save("new", ContentFile(b"new")) == "new"
    assert [server.files for server in servers] == [ALL | {"new": b"new"}] * 2


def test_nothing_is_sent_to_hosts_that_have_it(lost, run, servers):
    for server in servers:
        server.log.clear()
    run(lost)
    assert {line[0] for server in servers for line in server.log} <= {"GET", "HEAD", "PROPFIND", "OPTIONS"}


def test_run_again_brings_nothing(lost, run):
    run(lost)
    identity = Host.objects.get(host="").identity
    assert run(lost).is_complete
    assert (run.kinds, run.report.present) == ({}, 3)
    assert Host.objects.get(host="").identity == identity


def test_dry_run_changes_nothing(lost, run, media_root):
    before = [*Host.objects.values()]
    assert run(lost, dry_run=True).is_complete
    assert run.kinds == dict.fromkeys(ALL, "found")
    assert ([*media_root.iterdir()], [*Host.objects.values()]) == ([], before)
    shutil.rmtree(media_root)
    run(lost, dry_run=True)
    assert run.kinds == dict.fromkeys(ALL, "found")


def test_directory_that_is_missing_is_not_made(lost, run, media_root):
    shutil.rmtree(media_root)
    assert not run(lost).is_complete
    assert run.report.problems == [f"{media_root} is missing; is it mounted? (If it is to be there, create it.)"]
    assert not media_root.exists()


def test_files_keep_the_times_of_hosts_and_have_the_permissions_of_the_site(make, lost, run, media_root):
    moment = lost.transport_for(lost.hosts[0]).modified_time(lost.hosts[0], "a")
    storage = make(file_permissions_mode=0o640, directory_permissions_mode=0o750)
    run(storage)
    status = (media_root / "d" / "b").stat()
    assert (status.st_mode & 0o777, (media_root / "d").stat().st_mode & 0o777) == (0o640, 0o750)
    assert abs(datetime.fromtimestamp((media_root / "a").stat().st_mtime, UTC) - moment).total_seconds() < 2


def test_older_copy_gets_what_it_lacks(storage, run, media_root, servers, monkeypatch):
    storage.save("a", ContentFile(b"a"))
    shutil.copytree(media_root, media_root.with_name("backup"))
    now = leases.clock()
    monkeypatch.setattr(leases, "clock", lambda: now + 4_000)
    storage.belief.forget()
    storage.save("d/b", ContentFile(b"d/b"))
    shutil.rmtree(media_root)
    media_root.with_name("backup").rename(media_root)
    with pytest.raises(ConfigurationError, match="a copy or a backup"):
        storage.belief.require()
    assert run(storage).is_complete
    assert (run.kinds, run.report.present) == ({"d/b": "restored"}, 1)
    assert files_below(media_root) == {"a": b"a", "d/b": b"d/b"}
    assert state() == ""


def test_master_copy_of_something_else_is_refused(lost, run, media_root):
    (media_root / ".resto.master").write_text("id 1\nmark 1\n")
    assert not run(lost).is_complete
    assert "is the master copy of something else" in run.report.problems[0]
    assert [*media_root.iterdir()] == [media_root / ".resto.master"]


def test_site_without_any_identity_is_restored(storage, run, media_root, servers):
    media_root.mkdir()
    for server in servers:
        server.create_file("a", b"a")
    assert run(storage).is_complete
    assert files_below(media_root) == {"a": b"a"}


def test_single_file_comes_back_to_a_master_copy_that_is_believed(lost, run, media_root):
    run(lost)
    (media_root / "a").unlink()
    assert run(lost).is_complete
    assert run.kinds == {"a": "restored"}
    assert not run.report.is_restoring


def test_killed_restores_are_completed(lost, run, media_root, monkeypatch):
    """Wherever the identity was, and with a file that was published, and one that was not."""
    identities.put("default", "", "1" * 32, "2" * 32, "restoring")  # killed before the directory had it
    assert not run(lost, prefix="d/e").problems
    temporary = media_root / restored_name("d/b")
    os.link(media_root / "d" / "e" / "c", temporary)
    open_restored("default", lost.hosts, ["a"])
    assert run(lost).is_complete
    assert files_below(media_root) == ALL
    later = leases.clock() + 1_000
    monkeypatch.setattr(leases, "clock", lambda: later)
    drain()
    assert (files_below(media_root), Pending.objects.count()) == (ALL, 0)


def test_only_what_is_below_a_directory(lost, run, media_root):
    assert run(lost, prefix="d").is_complete
    assert run.kinds == {"d/b": "restored", "d/e/c": "restored"}
    assert (run.report.is_restoring, state()) == (True, "restoring")
    assert not (media_root / "a").exists()


def test_one_at_a_time(lost, run, monkeypatch):
    with Turn("default", "restore"):
        assert not run(lost).is_complete
        assert "another restore of STORAGES['default'] is under way" in run.report.problems[0]
        later = leases.clock() + leases.lease_seconds() + 1  # its process was killed
        monkeypatch.setattr(leases, "clock", lambda: later)
        assert run(lost).is_complete


def test_directory_in_the_way_is_told(lost, run, media_root):
    (media_root / "a").mkdir()
    assert not run(lost).is_complete
    assert run.findings["a"].problem == "a directory of this name is in the way"
    assert state() == "restoring"


# Meanwhile.


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
    assert [server.files for server in servers] == [ALL | {name: b"new"}] * 2
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
    assert [server.files.keys() for server in servers] == [ALL.keys() - {"a"}] * 2


def test_drain_removes_nothing(restoring, servers, media_root):
    restoring.open_lease("a", restoring.hosts, present=True).release(0)
    restoring.open_lease("d/b", restoring.hosts, present=False).release(0)
    (media_root / "here").write_bytes(b"here")
    restoring.open_lease("here", restoring.hosts, present=True).release(0)
    drained = drain()
    assert (drained.done, drained.failed, drained.left) == (2, 0, 4)
    assert [server.files for server in servers] == [ALL | {"here": b"here"}] * 2
    assert len(pending_for()) == 4


@pytest.mark.parametrize("action", ["upload", "update", "remove"])
def test_worker_removes_nothing(make, restoring, servers, action):
    storage = make("AsyncStorage")
    performed = storage.perform(action, storage.hosts, "a")
    assert all("is being restored" in str(outcome.error) for outcome in performed.outcomes)
    assert [server.files for server in servers] == [ALL] * 2
    assert len(pending_for()) == 2


def test_nothing_is_published_that_is_missing(restoring, servers):
    with pytest.raises(ConfigurationError, match="is being restored"):
        restoring.publish("a")
    with pytest.raises(ConfigurationError, match="is being restored"):
        restoring.repair(restoring.hosts[0], "a")
    assert [server.files for server in servers] == [ALL] * 2


def test_comparison_removes_nothing(restoring, servers):
    report = synchronize(restoring, SyncOptions(delete=True, force=True), lambda event: None)
    assert not report.agrees
    assert "is being restored" in report.problems[0]
    assert [server.files for server in servers] == [ALL] * 2


# What remains in doubt.


def test_hosts_that_disagree_are_told_and_one_of_them_decides(lost, run, servers, hosts, media_root):
    servers[1].create_file("a", b"longer")
    assert not run(lost).is_complete
    assert (run.kinds["a"], run.findings["a"].sizes) == ("different", dict(zip(hosts, [1, 6], strict=True)))
    assert (state(), (media_root / "a").exists()) == ("restoring", False)
    assert run(lost, source=hosts[1]).is_complete
    assert files_below(media_root) == ALL | {"a": b"longer"}
    assert [server.files for server in servers] == [ALL | {"a": b"longer"}] * 2


def test_contents_of_the_same_size_are_compared_if_wanted(lost, run, servers, media_root):
    servers[1].create_file("a", b"b")
    assert not run(lost, checksum=True).is_complete
    assert run.kinds == {"a": "different", "d/b": "restored", "d/e/c": "restored"}
    assert not (media_root / "a").exists()
    assert run(lost).is_complete


@pytest.mark.parametrize("by", ["host", "any"])
def test_file_that_some_hosts_lack_is_told_and_brought_if_wanted(lost, run, servers, hosts, by):
    servers[1].delete_file("a")
    assert not run(lost).is_complete
    assert run.kinds["a"] == "partial"
    assert run(lost, source=hosts[0]).is_complete if by == "host" else run(lost, from_any=True).is_complete
    assert run.kinds == {"a": "restored"}
    assert [server.files for server in servers] == [ALL] * 2


def test_host_that_lags_is_not_asked(lost, run, servers, hosts, media_root):
    servers[0].create_file("a", b"older")
    servers[0].delete_file("d/b")
    for name in ("a", "d/b"):
        lost.open_lease(name, hosts[:1], present=True).release(0)
    assert run(lost).is_complete
    assert files_below(media_root) == ALL
    drain()
    assert [server.files for server in servers] == [ALL] * 2


def test_what_no_host_is_known_to_have_is_lost(lost, run, hosts):
    lost.open_lease("never", hosts, present=True).release(0)
    lost.open_lease("deleted", hosts, present=False).release(0)
    assert run(lost).is_complete  # there is nothing that could be decided
    assert run.kinds == dict.fromkeys(ALL, "restored") | {"never": "lost"}


def test_older_version_of_what_is_lost_is_brought_if_wanted(lost, run, servers, hosts, media_root):
    lost.open_lease("a", hosts, present=True).release(0)
    assert not run(lost).is_complete
    assert run.kinds["a"] == "lost"
    assert (run.findings["a"].is_in_doubt, state()) == (True, "restoring")
    assert run(lost, source=hosts[0]).is_complete
    assert files_below(media_root) == ALL
    drain()
    assert [server.files for server in servers] == [ALL] * 2


def test_host_that_is_down_leaves_all_in_doubt(lost, run, servers, hosts, media_root):
    servers[1].refuse = True
    assert not run(lost).is_complete
    assert files_below(media_root) == ALL
    assert state() == "restoring"
    servers[1].heal()
    assert {row.host for row in Pending.objects.all()} == {hosts[1]}


def test_host_that_is_not_proven_is_not_asked(lost, run, hosts, servers):
    identities.put("default", hosts[0], "1" * 32, state="swapped")
    servers[0].create_file("a", b"of somebody else")
    assert not run(lost).is_complete
    assert {finding.host for finding in run.findings.values()} == {hosts[1]}
    assert run.report.hosts[0].problems == ["it does not prove to be the host that it was"]


def test_hosts_without_listings_say_so(make, lost, run, hosts):
    storage = make(transport="http")
    storage.open_lease("a", hosts[:1], present=True).release(0)
    assert not run(storage).is_complete
    assert run.kinds == {"a": "restored"}  # from whichever host has it, by what is recorded
    assert "no host lists its directories" in run.report.problems[0]


def test_broken_download_leaves_nothing(lost, run, servers, media_root):
    for server in servers:
        server.fault_methods, server.reset_after = {"GET"}, 0
    assert not run(lost).is_complete
    assert set(run.kinds.values()) == {"failed"}
    assert (files_below(media_root), Pending.objects.count()) == ({}, 0)
