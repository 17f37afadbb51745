"""A restore as a whole: what is brought back, and what the directory is afterwards."""

import os
import shutil

import pytest
from django.core.files.base import ContentFile

from kit.record import files
from kit.restored import ALL, files_below, state
from resto.exceptions import ConfigurationError
from resto.models import Host, Pending
from resto.names import restored_name
from resto.progress import Progress
from resto.record import identities, leases
from resto.record.opening import open_restored
from resto.record.turns import Turn
from resto.repair.drain import drain


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])


def test_all_files_come_back_and_the_directory_is_the_master_copy(lost, run, media_root, servers):
    with pytest.raises(ConfigurationError, match="not the master copy"):
        lost.save("new", ContentFile(b"new"))
    assert run(lost).is_complete
    assert run.kinds == dict.fromkeys(ALL, "restored")
    size = sum(map(len, ALL.values()))
    assert (run.report.counts["restored"], run.report.size) == (3, size)
    assert run.told[-1] == Progress(3, 3, sent_bytes=size, total_bytes=size, is_final=True)
    assert files_below(media_root) == ALL
    assert (state(), Pending.objects.count()) == ("", 0)
    assert lost.save("new", ContentFile(b"new")) == "new"
    assert files(servers) == [ALL | {"new": b"new"}] * 2


def test_run_again_brings_nothing(lost, run):
    run(lost)
    identity = Host.objects.get(host="").identity
    assert run(lost).is_complete
    assert (run.kinds, run.report.present) == ({}, 3)
    assert run.told[-1] == Progress(3, 3, is_final=True)
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
    [known] = identities.find(["default"])
    identities.put("default", "", known.identity, "2" * 32, "restoring")  # killed before the directory had it
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


def test_directory_below_that_is_not_mounted_any_more_is_restored(storage, run, media_root, servers, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    media_root.mkdir()
    (media_root / "d").symlink_to(tmp_path / "elsewhere")
    for name in ALL:
        storage.save(name, ContentFile(name.encode()))
    (media_root / "d").unlink()
    (media_root / "d").mkdir()
    assert run(storage, prefix="d/e").is_restoring
    assert storage.save("d/b", ContentFile(b"another")) != "d/b"
    assert run(storage).is_complete
    assert files_below(media_root).items() >= ALL.items()
    assert state() == ""
    assert files(servers) == [files_below(media_root)] * 2


def test_host_that_was_adopted_since_says_nothing_of_what_it_lacks(storage, run, lose, servers):
    """It has lost its files, and the other one is not known to have got the last change."""
    storage.save("a", ContentFile(b"1"))
    servers[1].refuse = True
    with storage.open("a", "wb") as file:
        file.write(b"22")
    servers[1].refuse = False
    for name in [*servers[0].files]:
        servers[0].delete_file(name)
    storage.recognition.adopt(servers[0].url)
    lose()
    storage.belief.forget()
    report = run(storage)
    assert (run.kinds, report.is_restoring) == ({"a": "lost"}, True)
    Pending.objects.update(due=0, quiet_until=0)
    drain()
    assert servers[1].has_file("a")
    assert run(storage, source=servers[1].url).is_complete
    with storage.open("a") as file:
        assert file.read() == b"1"
