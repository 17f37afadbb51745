"""What uploads have left on hosts that did not come to their end, as a process was killed."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from kit.comparison import compare, write
from resto.names import temporary_name
from resto.repair.sync import Notice, unfinished


@pytest.fixture
def days_later(monkeypatch):
    """Let a comparison take everything for old."""
    monkeypatch.setattr(unfinished, "AGE", timedelta(seconds=-5))


def counted(report) -> tuple[int, int]:
    (host,) = report.hosts
    return host.unfinished, host.swept


@pytest.fixture
def left(server, media_root, make):
    """A storage, and a host on which uploads were left in two directories."""
    storage = make(server)
    write(media_root, {"d/a": b""})
    server.create_file("d/a", b"")
    for number in range(3):
        server.create_file(temporary_name("d/a" if number else "a"), b"half")
    return storage


def notices(events):
    return [event.name for event in events if isinstance(event, Notice)]


@pytest.mark.usefixtures("days_later")
def test_what_is_a_day_old_is_removed_and_counted(left, server):
    report, events = compare(left)
    assert counted(report) == (3, 3)
    assert report.agrees
    assert events == []
    assert list(server.files) == ["d/a"]


def test_what_is_younger_may_still_be_under_way(left, server):
    report, events = compare(left)
    assert counted(report) == (3, 0)
    assert report.agrees
    assert events == []
    assert len(server.files) == 4


@pytest.mark.usefixtures("days_later")
def test_a_dry_run_counts_only(left, server):
    report, _ = compare(left, dry_run=True)
    assert counted(report) == (3, 0)
    assert len(server.files) == 4


@pytest.mark.usefixtures("days_later")
@pytest.mark.parametrize(
    "name",
    [".resto-0123", ".resto-0123456789abcdefa", ".resto-0123456789ABCDEF", ".resto-probe", "x.resto-0123456789abcdef"],
)
def test_what_is_of_another_kind_stays(make, server, name):
    server.create_file(name, b"something else")
    report, _ = compare(make(server))
    assert counted(report) == (0, 0)
    assert server.has_file(name)


@pytest.mark.usefixtures("days_later")
def test_a_directory_of_such_a_name_is_told_and_stays(make, server):
    name = temporary_name("")
    server.create_file(f"{name}/a", b"of a probe")
    report, events = compare(make(server), delete=True)
    assert counted(report) == (0, 0)
    assert notices(events) == [name]
    assert server.has_file(f"{name}/a")


@pytest.fixture
def broken_off(server, make):
    """A function that leaves the directory of a trial, as far as it got, and returns the name of that and a storage."""

    def leave(*files):
        name = temporary_name("")
        server.create_file(f"{name}/index.html", b"of a trial")
        if not files:
            server.delete_file(f"{name}/index.html")
        return name, make(server)

    return leave


@pytest.mark.usefixtures("days_later")
@pytest.mark.parametrize("files", [["index.html"], []])
def test_a_trial_that_was_broken_off_leaves_nothing(broken_off, server, files):
    _, storage = broken_off(*files)
    report, events = compare(storage)
    assert counted(report) == (1, 1)
    assert events == []
    assert storage.transport_for(server.url).browse(server.url, "").others == {}


def test_a_trial_may_still_be_under_way(broken_off, server):
    name, storage = broken_off("index.html")
    report, _ = compare(storage)
    assert counted(report) == (1, 0)
    assert server.has_file(f"{name}/index.html")


@pytest.mark.usefixtures("days_later")
def test_a_dry_run_removes_no_trial(broken_off, server):
    name, storage = broken_off("index.html")
    report, _ = compare(storage, dry_run=True)
    assert counted(report) == (1, 0)
    assert server.has_file(f"{name}/index.html")


@pytest.mark.usefixtures("days_later")
def test_what_cannot_be_removed_is_told(left, server):
    server.fault_methods, server.refuse_code = {"DELETE"}, 403
    report, events = compare(left)
    assert counted(report) == (0, 0)
    assert len(notices(events)) == 3


@pytest.mark.usefixtures("days_later")
def test_an_upload_that_has_just_come_to_its_end_is_none(left, server):
    def publish(method, path):
        if method == "HEAD" and ".resto-" in path:
            server.delete_file(path.strip("/"))

    server.on_request = publish
    report, events = compare(left)
    assert counted(report) == (0, 0)
    assert notices(events) == []


@pytest.mark.usefixtures("days_later")
@pytest.mark.parametrize("kind", ["apache", "lighttpd", "rclone", "wsgidav"])
def test_real_servers(media_servers, make, kind):
    url, folder = media_servers(kind).new_folder()
    storage = make(SimpleNamespace(url=url))
    storage.transport_for(url).create(url, "d/a", b"content")
    names = [".resto-0123456789abcdef", "d/.resto-0123456789abcdef", ".resto-other"]
    trial = ".resto-fedcba9876543210"
    media_servers(kind).request("MKCOL", f"/{folder.name}/{trial}/")
    for name in (*names, f"{trial}/index.html"):
        media_servers(kind).request("PUT", f"/{folder.name}/{name}", b"half")
    report, _ = compare(storage)
    assert counted(report) == (3, 3)
    assert not (folder / trial).exists()
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) in (
        [".resto-other", "a"],
        [".resto-other", ".resto.host", "a"],
    )
