"""`manage.py resto_restore`, as somebody sees it."""

import io
import json
import sys

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from resto.models import Host
from resto.repair.restore.bringing import Bringing


pytestmark = [
    pytest.mark.django_db(transaction=True, available_apps=["resto"]),
    pytest.mark.usefixtures("identities_apply"),
]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture(params=["Hybrid", "Async"])
def kind(request):
    return request.param


@pytest.fixture
def lost(settings, servers, media_root, kind):
    """A site that has two files on its hosts, and a new disk."""
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "executor": "inline"}
    settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
    media_root.mkdir()
    for server in servers:
        server.create_file("a", b"a")
        server.create_file("d/b", b"bb")
    return storages["default"]


def run(*options, **more):
    out = io.StringIO()
    try:
        call_command("resto_restore", *options, stdout=out, **{"no_input": True} | more)
    except CommandError as error:
        return f"{out.getvalue()}{error}\n"
    return out.getvalue()


@pytest.mark.usefixtures("lost")
def test_it_says_what_it_has_done(media_root):
    assert run() == "default: 0 files were there, 2 restored.\n"
    assert run() == "default: 2 files were there, nothing is missing.\n"
    assert (media_root / "d" / "b").read_bytes() == b"bb"


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_each_file_is_told_if_wanted():
    lines = run(verbosity=2).splitlines()
    assert [line.partition(": from")[0] for line in lines[:2]] == ["a: restored", "d/b: restored"]


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_doubts_are_told_and_ended(lost, servers):
    servers[1].create_file("a", b"other")
    servers[1].delete_file("d/b")
    first, second = (server.url for server in servers)
    assert run() == (
        f"a: hosts disagree; --from HOST decides, {first}: 1 byte, {second}: 5 bytes\n"
        f"d/b: some hosts lack it, as if it had been deleted; --from HOST or --any brings it, {first}: 2 bytes, {second}: missing\n"
        "default: 0 files were there, 1 on which hosts disagree, 1 that some hosts lack.\n"
        "default is still being restored: nothing is removed from hosts on its account until this command has come to its end "
        "without doubt.\nSomething is left in doubt.\n"
    )
    assert run("--any", "--prefix", "d").startswith("default: 0 files were there, 1 restored.\n")
    assert run("--from", first) == "default: 1 file was there, 1 restored.\n"
    assert Host.objects.get(host="").state == ""


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_as_json(lost, servers):
    report = json.loads(run("--json", "--dry-run"))
    assert [(file["name"], file["kind"]) for file in report["files"]] == [("a", "found"), ("d/b", "found")]
    report = json.loads(run("--json"))
    assert report["counts"] == {"restored": 2}
    assert (report["complete"], report["is_restoring"], report["bytes"], report["in_doubt"]) == (True, False, 3, 0)
    assert (report["storage"], report["problems"]) == ("default", [])
    assert report["hosts"] == {server.url: [] for server in servers}
    assert json.loads(run("--json"))["files"] == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_it_asks(monkeypatch, media_root, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert "Nobody can be asked here" in run(no_input=False)
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    assert run(no_input=False) == "Nothing was changed.\n"
    assert [*media_root.iterdir()] == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert "2 restored" in run(no_input=False)
    assert str(media_root) in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_storages_of_one_directory_need_not_be_told_apart(lost, settings, media_root):
    """So the command does what the refusal of either names."""
    second = settings.STORAGES["default"] | {"BACKEND": "resto.storage.AsyncStorage"}
    settings.STORAGES |= {"second": second}
    assert run() == "default: 0 files were there, 2 restored.\n"
    assert run(storage="second") == "second: 2 files were there, nothing is missing.\n"


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_options_must_name_what_there_is(lost, settings):
    assert run(storage="other") == "resto has no storage 'other'; it has default.\n"
    assert run("--from", "http://media-9/").startswith("There is no host http://media-9/; there are ")
    assert run("--from", "").startswith("There is no host ; there are ")
    assert run("--prefix", "../").startswith("--prefix: ")
    assert run("--prefix", "").startswith("--prefix is empty: is the variable set?")
    assert run("--prefix", "nope") == "--prefix: there is no directory 'nope', neither here nor on a host.\n"
    settings.STORAGES |= {"second": settings.STORAGES["default"] | {"OPTIONS": {"location": "/tmp/x"}}}
    assert run() == "Which one? --storage must be one of default, second.\n"
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage"}}
    assert run() == "Of resto's storages in STORAGES there is no master copy.\n"


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_interrupted_it_can_be_run_again(lost, monkeypatch, media_root):
    def interrupt(self, ready):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bringing, "_publish", interrupt)
        assert run() == "Interrupted: nothing was restored. Run the command again for the rest.\n"
    assert [path.name for path in media_root.iterdir()] in (
        [".resto.master"],
        [".resto.master", "d"],
        ["d", ".resto.master"],
    )
    assert run() == "default: 0 files were there, 2 restored.\n"
    assert lost.exists("a")


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
@pytest.mark.usefixtures("lost")
def test_interruption_tells_what_is_there_by_then(monkeypatch, media_root):
    def interrupt(self, kept):
        raise KeyboardInterrupt

    monkeypatch.setattr(Bringing, "_look_again", interrupt)
    assert run() == "Interrupted: 1 restored. Run the command again for the rest.\n"
    assert (media_root / "a").read_bytes() == b"a"


@pytest.mark.parametrize("kind", ["Hybrid"], indirect=True)
def test_static_files_are_restored_too(settings, servers, lost, tmp_path):
    settings.STATIC_ROOT = str(tmp_path / "static")
    (tmp_path / "static").mkdir()
    options = {"hosts": [server.url for server in servers], "transport": "webdav"}
    settings.STORAGES |= {"staticfiles": {"BACKEND": "resto.staticfiles.StaticFilesStorage", "OPTIONS": options}}
    assert run(storage="staticfiles") == "staticfiles: 0 files were there, 2 restored.\n"
    assert (tmp_path / "static" / "a").read_bytes() == b"a"


def test_files_that_were_changed_while_it_ran_are_told(lost, servers, monkeypatch, media_root):
    for server in servers:
        server.create_file("b", b"b")
    original = Bringing._publish

    def publish(self, ready):
        (media_root / "a").write_bytes(b"newer")
        lost.delete("b")
        return original(self, ready)

    monkeypatch.setattr(Bringing, "_publish", publish)
    lines = run().splitlines()
    assert sorted(lines[:2]) == [
        "a: left: it was saved meanwhile",
        "b: left: it was deleted meanwhile",
    ]
    assert (media_root / "a").read_bytes() == b"newer"
