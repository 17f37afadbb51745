"""The command that says how the hosts are."""

import io
import json
import re
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from resto.management.commands import resto_status
from resto.models import Pending, Run
from resto.record import backlog, database, opening, rests
from resto.record.identities import NEW
from resto.repair import status


pytestmark = pytest.mark.django_db


@pytest.fixture
def server(resto_server_factory, settings, media_root):
    server = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    return server


def miss(server):
    server.refuse = True
    storages["default"].save("a", ContentFile(b"1"))
    server.refuse = False


def test_fine(server, capsys):
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is pending.\n"


def compare(**values):
    """Somebody has compared an hour ago."""
    moment = time.time() - 3_600
    times = {"asked": moment, "started": moment, "seen": moment, "ended": moment}
    Run.objects.create(kind="sync", storage="default", **{"code": 0, **times, **values})


BROKEN_OFF = "last compared 60 minutes ago: it was broken off; nothing is known of one after which everything agreed."


@pytest.mark.parametrize(
    ("values", "code", "sentence"),
    [
        ({}, 0, "last compared 60 minutes ago: 0 files compared."),
        ({"code": 1, "problems": '["No."]'}, 1, "not everything agrees, No; nothing is known of one after"),
        ({"code": 130}, 1, "ended after 0 names; nothing is known of one after"),
        ({"code": None, "ended": None}, 1, BROKEN_OFF),
    ],
)
@pytest.mark.parametrize("options", [[], ["-v0"]])
def test_comparison_that_has_failed_or_was_broken_off(server, capsys, values, code, sentence, options):
    compare(**values)
    assert status_of(*options) == code
    assert (sentence in capsys.readouterr().out) is (not options or bool(code))


def test_comparison_that_has_failed_is_no_reason_not_to_say_that_a_host_is_down(server):
    compare(code=1)
    server.refuse = True
    assert status_of() == 2


def status_of(*arguments):
    try:
        call_command("resto_status", *arguments)
    except SystemExit as ending:
        return ending.code
    return 0


def timeless(text):
    """It takes a busy machine some time to ask how long ago something was."""
    return re.sub(r"the oldest for \d+ seconds?", "the oldest for a while", text)


def test_backlog(server, capsys):
    miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    printed = timeless(capsys.readouterr().out)
    assert printed.startswith(f"default: {server.url} answers; 1 pending, the oldest for a while, the next ")
    assert " is due in " in printed
    assert "connection refused" in printed


def test_host_that_is_not_in_the_settings(server, settings, resto_server_factory, capsys):
    miss(server)
    other = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [other.url]
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    assert timeless(capsys.readouterr().out) == (
        f"default: {other.url} answers; nothing is pending.\n"
        f"default: {server.url} is not a host of this storage; 1 pending, the oldest for a while, forgotten after a week.\n"
    )
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", json=True)
    assert caught.value.code == 1
    printed = capsys.readouterr()
    known, gone = json.loads(printed.out)
    assert (known["host"], known["in_settings"]) == (other.url, True)
    assert gone.keys() - known.keys() == {"spelling"}
    assert known.keys() - gone.keys() == set()
    assert gone == gone | {
        "host": server.url, "in_settings": False, "spelling": None, "reachable": None, "breaker": None, "pending": 1,
    }  # fmt: skip
    assert "connection refused" in gone["error"]
    assert printed.err == ""


def test_host_that_is_spelled_otherwise_in_the_settings(server, settings, capsys):
    miss(server)
    respelled = server.url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [respelled]
    with pytest.raises(SystemExit):
        call_command("resto_status")
    assert timeless(capsys.readouterr().out).splitlines()[1] == (
        f"default: {server.url} is {respelled} in the settings; 1 pending, the oldest for a while, which a drain sends there."
    )


def test_down(server, capsys):
    server.refuse = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 2
    assert (
        capsys.readouterr().out == f"default: {server.url} does not answer: connection refused; nothing is pending.\n"
    )


def test_breaker(server, capsys):
    for _ in range(3):
        miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    assert capsys.readouterr().out.startswith(f"default: {server.url} answers; its breaker is open; 3 pending, ")


def test_probe(server, capsys):
    call_command("resto_status", probe=True)
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"default: {server.url} answers; nothing is pending.",
        "  Files can be written, read, replaced and deleted.",
        "  No credentials are configured: any machine whose address the host accepts can write there.",
    ]


def test_probe_of_one_host(server, settings, resto_server_factory, capsys):
    other = resto_server_factory(webdav=False)
    other.refuse = True
    settings.RESTO_MEDIA_HOSTS = [server.url, other.url]
    call_command("resto_status", probe=True, host=[server.url])
    assert capsys.readouterr().out.startswith(
        f"default: {server.url} answers; nothing is pending.\n  Files can be written"
    )
    assert not other.requests
    with pytest.raises(CommandError, match="There is no host http://other/; there are "):
        call_command("resto_status", probe=True, host=["http://other/"])


def test_with_verbosity_0_only_what_is_wrong_is_said(server, settings, resto_server_factory, capsys):
    call_command("resto_status", probe=True, verbosity=0)
    assert capsys.readouterr().out == ""
    other = resto_server_factory(webdav=False)
    other.readonly = True
    settings.RESTO_MEDIA_HOSTS = [server.url, other.url]
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", probe=True, verbosity=0)
    assert caught.value.code == 2
    said = capsys.readouterr().out
    assert said.startswith(f"default: {other.url} answers; nothing is pending.\n  A file cannot be written")
    assert server.url not in said


def test_probe_that_fails(server, capsys):
    server.readonly = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", probe=True)
    assert caught.value.code == 2
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"default: {server.url} answers; nothing is pending."
    assert second.startswith("  A file cannot be written: PUT was answered 403 Forbidden; ")


def test_probe_as_json(server, capsys):
    server.readonly = True
    with pytest.raises(SystemExit):
        call_command("resto_status", probe=True, json=True)
    [status] = json.loads(capsys.readouterr().out)
    assert (status["host"], status["reachable"], status["probe"]["remarks"]) == (server.url, True, [])
    assert status["probe"]["problem"].startswith("A file cannot be written")


def test_record_that_cannot_be_read(server, monkeypatch):
    def fail(storage):
        raise DatabaseError("it is down")

    monkeypatch.setattr(status, "backlog_of", fail)
    with pytest.raises(CommandError, match="The record cannot be read: it is down") as caught:
        call_command("resto_status")
    assert caught.value.returncode == 2


def test_nothing_is_recorded(server, capsys, monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is recorded.\n"


def test_what_is_under_way_is_fine(server, capsys):
    storages["default"].open_lease("a", (server.url,), present=True)
    call_command("resto_status")
    assert capsys.readouterr().out == f"default: {server.url} answers; nothing is pending; 1 under way.\n"


def test_more_than_are_counted(server, capsys, monkeypatch):
    monkeypatch.setattr(backlog, "MOST", 1)
    for name in "ab":
        storages["default"].open_lease(name, (server.url, "http://media-9/"), present=True).release(0)
    with pytest.raises(SystemExit):
        call_command("resto_status")
    first, second, _ = capsys.readouterr().out.splitlines()
    assert f"{server.url} answers; more than 1 pending, the oldest for" in first
    assert "http://media-9/ is not a host of this storage; more than 1 pending, the oldest for" in second


def test_json(server, capsys):
    miss(server)
    with pytest.raises(SystemExit):
        call_command("resto_status", json=True)
    [status] = json.loads(capsys.readouterr().out)
    assert (status["host"], status["in_settings"], status["reachable"], status["pending"]) == (
        server.url,
        True,
        True,
        1,
    )
    assert "probe" not in status


def test_wrong_settings(server, settings):
    settings.RESTO_MEDIA_HOSTS = []
    settings.STORAGES = settings.STORAGES | {
        "other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [server.url]}}
    }
    output, errors = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", stdout=output, stderr=errors)
    assert caught.value.code == 2
    assert "default: no hosts" in errors.getvalue()
    assert f"other: {server.url} answers" in output.getvalue()  # which is not to be hidden


def test_unknown_storage(server):
    with pytest.raises(CommandError, match="resto has no storage 'defualt'; it has default") as caught:
        call_command("resto_status", storage=["defualt"])
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("backend", "problem"),
    [
        (
            "no.such.Storage",
            "its BACKEND 'no.such.Storage' cannot be imported: ModuleNotFoundError: No module named 'no'.",
        ),
        (None, "it has no BACKEND."),
    ],
)
@pytest.mark.parametrize("options", [{}, {"names": True}, {"name": "a"}, {"storage": ["other"]}, {"json": True}])
def test_backend_that_cannot_be_imported(server, settings, capsys, backend, problem, options):
    settings.STORAGES = settings.STORAGES | {"other": {"BACKEND": backend}}
    said = f"STORAGES['other']: {problem}"
    expected = (CommandError, re.escape(said)) if "storage" in options else (SystemExit, "2")
    with pytest.raises(expected[0], match=expected[1]) as caught:
        call_command("resto_status", **options)
    assert getattr(caught.value, "returncode", 2) == 2
    printed = capsys.readouterr()
    assert printed.err == ("" if "storage" in options else f"{said}\n")
    assert "storage" in options or printed.out  # others are told of all the same


def test_nothing_of_resto(settings):
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with pytest.raises(CommandError, match=r"^STORAGES has none of resto\.$") as caught:
        call_command("resto_status")
    assert caught.value.returncode == 2


def test_interruption(server, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(resto_status, "storage_status", interrupt)
    with pytest.raises(CommandError, match=r"^Interrupted\.$") as caught:
        call_command("resto_status")
    assert caught.value.returncode == 130


# Files.


def ageless(text):
    return re.sub(r"pending for \d+ seconds?, due (in|for) \d+ seconds?", "pending for a while, due soon", text)


def test_names(server, capsys):
    miss(server)
    miss(server)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", names=True)
    assert caught.value.code == 1
    first, second = ageless(capsys.readouterr().out).splitlines()
    assert first == f"default: a on {server.url}: pending for a while, due soon (last error: connection refused)."
    assert second.startswith("default: a_")
    assert server.requests == []  # no host is asked


def test_names_as_json(server, capsys):
    miss(server)
    with pytest.raises(SystemExit):
        call_command("resto_status", names=True, json=True)
    [one] = json.loads(capsys.readouterr().out)
    assert (one["storage"], one["host"], one["name"]) == ("default", server.url, "a")
    assert (one["attempts"], one["error"]) == (1, "connection refused")
    assert one.keys() == {"storage", "host", "name", "age", "due", "attempts", "error"}
    Pending.objects.all().delete()
    call_command("resto_status", names=True, json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_no_names(server, capsys):
    call_command("resto_status", names=True)
    assert capsys.readouterr().out == "Nothing is pending.\n"


def test_names_of_some_hosts_and_storages(server, settings, resto_server_factory, capsys):
    """A host that has left the settings may be named as long as something is pending."""
    miss(server)
    other = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [other.url]
    with pytest.raises(SystemExit):
        call_command("resto_status", names=True, host=[server.url], storage=["default"])
    assert capsys.readouterr().out.startswith(f"default: a on {server.url}: ")
    call_command("resto_status", names=True, host=[other.url])
    assert capsys.readouterr().out == "Nothing is pending.\n"
    with pytest.raises(CommandError, match=f"There is no host http://typo/; there are {other.url}") as caught:
        call_command("resto_status", names=True, host=["http://typo/"])
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="resto has no storage 'other'"):
        call_command("resto_status", names=True, storage=["other"])


def test_names_are_listed_in_parts(server, capsys, monkeypatch):
    monkeypatch.setattr(rests, "PART", 2)
    for _ in range(2):  # each of them has two rows
        opening.open_leases("default", [(server.url, f"{number}") for number in range(5)])
    Pending.objects.update(quiet_until=0)
    with pytest.raises(SystemExit):
        call_command("resto_status", names=True)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == list("01234")


def test_what_is_under_way_is_not_listed(server, capsys):
    opening.open_lease("default", [server.url], "a", present=True)
    call_command("resto_status", names=True)
    assert capsys.readouterr().out == "Nothing is pending.\n"


def test_names_need_the_record(server, monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    with pytest.raises(CommandError, match="Nothing is recorded") as caught:
        call_command("resto_status", names=True)
    assert caught.value.returncode == 2


def test_questions_that_do_not_go_together(server):
    with pytest.raises(CommandError, match="NAME and --names do not go together"):
        call_command("resto_status", "a", names=True)
    with pytest.raises(CommandError, match="--host and NAME do not go together"):
        call_command("resto_status", "a", host=[server.url])


MOMENT = r", of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"


def test_file(settings, resto_server_factory, media_root, capsys):
    first, second, gone = [resto_server_factory(webdav=False) for _ in range(3)]
    settings.RESTO_MEDIA_HOSTS = [server.url for server in (first, second, gone)]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    second.refuse = gone.refuse = True
    storages["default"].save("a", ContentFile(b"12345"))
    second.refuse = False
    second.create_file("a", b"1")
    settings.RESTO_MEDIA_HOSTS = [server.url for server in (first, second)]
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 1
    lines = [re.sub(MOMENT, ", of then", ageless(line)) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "default: a",
        "  master copy: 5 bytes, of then.",
        f"  {first.url}: 5 bytes, of then; nothing is pending.",
        f"  {second.url}: 1 byte, of then; pending for a while, due soon (last error: connection refused).",
        f"  {gone.url}: not a host of this storage; pending for a while, due soon (last error: connection refused).",
    ]
    with pytest.raises(SystemExit):
        call_command("resto_status", "a", json=True)
    [file] = json.loads(capsys.readouterr().out)
    assert (file["storage"], file["name"], file["agrees"], file["master"]["size"]) == ("default", "a", False, 5)
    assert [(one["host"], one["in_settings"], one["size"], len(one["pending"])) for one in file["hosts"]] == [
        (first.url, True, 5, 0),
        (second.url, True, 1, 1),
        (gone.url, False, None, 1),
    ]
    [pending] = file["hosts"][1]["pending"]
    assert (pending["is_under_way"], pending["attempts"], pending["error"]) == (False, 1, "connection refused")
    assert "+00:00" in file["master"]["modified"]


def test_file_that_is_equal_everywhere(server, capsys):
    storages["default"].save("d/a", ContentFile(b"1"))
    call_command("resto_status", "d//a")
    assert "nothing is pending" in capsys.readouterr().out
    call_command("resto_status", "b")
    assert (
        capsys.readouterr().out
        == f"default: b\n  master copy: no file.\n  {server.url}: no file; nothing is pending.\n"
    )


def test_file_that_differs_behind_the_back(server, capsys):
    server.create_file("a", b"1")
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 1
    assert "  master copy: no file.\n" in capsys.readouterr().out


def test_file_that_is_under_way(server, capsys):
    opening.open_lease("default", [server.url], "a", present=True)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 1
    assert re.search(r"no file; under way for \d seconds?\.$", capsys.readouterr().out)


def test_file_of_hosts_that_do_not_say(server, capsys, media_root):
    server.refuse = True
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 2
    assert f"  {server.url}: not known, connection refused; nothing is pending.\n" in capsys.readouterr().out
    server.refuse = False
    media_root.mkdir()
    (media_root / "a").symlink_to("a")
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 2
    assert "master copy: not known, it cannot be read: Too many levels" in capsys.readouterr().out


def test_file_without_a_master_copy_and_without_a_record(server, settings, capsys, monkeypatch):
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage"}}
    monkeypatch.setattr(database, "is_active", lambda: False)
    server.create_file("a", b"1")
    call_command("resto_status", "a")
    printed = re.sub(MOMENT, ", of then", capsys.readouterr().out)
    assert printed == f"default: a\n  {server.url}: 1 byte, of then; nothing is recorded.\n"


def test_file_of_a_storage_that_cannot_be_used(server, settings, capsys):
    settings.RESTO_MEDIA_HOSTS = []
    settings.STORAGES = settings.STORAGES | {
        "other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [server.url]}}
    }
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status", "a")
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert "default: no hosts" in printed.err
    assert printed.out.startswith("other: a\n")


def test_what_is_no_name_of_a_file(server):
    with pytest.raises(CommandError, match=r"'\.\./a'") as caught:
        call_command("resto_status", "../a")
    assert caught.value.returncode == 2


@pytest.mark.usefixtures("identities_apply")
def test_host_that_is_left_out(settings, resto_server_factory, capsys):
    servers = [resto_server_factory() for _ in range(2)]
    options = {"hosts": [server.url for server in servers], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    storages["default"].save("a", ContentFile(b"1"))
    storages["default"].recognition.adopt(servers[1].url, NEW)
    with pytest.raises(SystemExit) as caught:
        call_command("resto_status")
    assert caught.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"default: {servers[0].url} answers; nothing is pending.",
        f"default: {servers[1].url} answers; nothing is pending.",
        "  It is left out until it is filled: run manage.py resto_sync.",
    ]
    with pytest.raises(SystemExit):
        call_command("resto_status", "--json")
    assert [record["left_out"] for record in json.loads(capsys.readouterr().out)] == [False, True]
