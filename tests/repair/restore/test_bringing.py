"""How files are brought; what may happen meanwhile is in `laws/test_restore_laws.py`."""

from datetime import UTC, datetime

import pytest

from kit.restored import files_below
from resto.models import Pending


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])


def test_broken_download_leaves_nothing(lost, run, servers, media_root):
    for server in servers:
        server.fault_methods, server.reset_after = {"GET"}, 0
    assert not run(lost).is_complete
    assert set(run.kinds.values()) == {"failed"}
    assert (files_below(media_root), Pending.objects.count()) == ({}, 0)


def test_contents_of_the_same_size_are_compared_if_wanted(lost, run, servers, media_root):
    servers[1].create_file("a", b"b")
    assert not run(lost, checksum=True).is_complete
    assert run.kinds == {"a": "different", "d/b": "restored", "d/e/c": "restored"}
    assert not (media_root / "a").exists()
    assert run(lost).is_complete


def test_nothing_is_sent_to_hosts_that_have_it(lost, run, servers):
    for server in servers:
        server.log.clear()
    run(lost)
    assert {line[0] for server in servers for line in server.log} <= {"GET", "HEAD", "PROPFIND", "OPTIONS"}


def test_files_keep_the_times_of_hosts_and_have_the_permissions_of_the_site(make, lost, run, media_root):
    moment = lost.transport_for(lost.hosts[0]).modified_time(lost.hosts[0], "a")
    storage = make(file_permissions_mode=0o640, directory_permissions_mode=0o750)
    run(storage)
    status = (media_root / "d" / "b").stat()
    assert (status.st_mode & 0o777, (media_root / "d").stat().st_mode & 0o777) == (0o640, 0o750)
    assert abs(datetime.fromtimestamp((media_root / "a").stat().st_mtime, UTC) - moment).total_seconds() < 2
