"""The command that drains, in this process and in one of its own."""

import io
import itertools
import logging
import os
import re
import signal
import subprocess

import pytest
import requests
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError, connection

from kit import processes
from kit.processes import interrupt
from resto import health
from resto.executors.flow import BACKLOG, WIDEST
from resto.management import watching
from resto.management.commands import resto_drain
from resto.models import Pending
from resto.record import backlog, claims, leases, opening, rests
from resto.repair import traced
from resto.repair.watch import errands


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory(webdav=False)


@pytest.fixture
def missed(settings, media_root, server, monkeypatch):
    """A host has missed two files, and it is time for them."""
    monkeypatch.setattr(leases, "_unreachable", set())
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    server.refuse = True
    for name in "ab":
        storages["default"].save(name, ContentFile(b"1"))
    server.refuse = False
    Pending.objects.update(due=0, quiet_until=0)


@pytest.mark.django_db
def test_command_replicates_what_is_due(missed, server, capsys):
    call_command("resto_drain")
    assert capsys.readouterr().out == "2 sent.\n"
    assert set(server.files) == {"a", "b"}
    call_command("resto_drain")
    assert capsys.readouterr().out == "Nothing is due.\n"


@pytest.mark.django_db
def test_command_says_what_was_removed(missed, server, capsys):
    server.refuse = True
    storages["default"].delete("a")
    server.refuse = False
    health.forget()
    Pending.objects.update(due=0, quiet_until=0)
    call_command("resto_drain")
    assert capsys.readouterr().out == "1 sent, 1 removed.\n"
    assert set(server.files) == {"b"}


@pytest.mark.django_db
def test_nothing_is_printed_with_a_verbosity_of_0(missed, server, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    server.refuse = True
    with pytest.raises(CommandError, match="will be tried again"):
        call_command("resto_drain", verbosity=0)
    with pytest.raises(SystemExit) as caught:
        resto_drain.Command().run_from_argv(["manage.py", "resto_drain", "-v", "0", "--now"])
    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.django_db
def test_command_fails_if_a_host_does(missed, server, capsys):
    server.refuse = True
    with pytest.raises(CommandError, match="will be tried again"):
        call_command("resto_drain")
    assert capsys.readouterr().out == "1 failed, 1 left for later, as a host is down.\n"


@pytest.mark.django_db
def test_command_keeps_what_the_settings_do_not_have(missed, settings, capsys):
    settings.RESTO_MEDIA_HOSTS = ["http://other/"]
    call_command("resto_drain")
    assert capsys.readouterr().out == "2 kept for a week, as the settings lack a host or storage.\n"


@pytest.mark.django_db
def test_options(missed, server, capsys):
    with pytest.raises(CommandError, match=f"There is no host http://other/; there are {server.url}"):
        call_command("resto_drain", host=["http://other/"])
    with pytest.raises(CommandError, match="resto has no storage 'other'; it has default"):
        call_command("resto_drain", storage=["other"])
    for limit in ("-5", "0", "many"):
        with pytest.raises(CommandError, match="is no number of rows"):
            call_command("resto_drain", f"--limit={limit}")
    call_command("resto_drain", "--limit=1", storage=["default"], host=[server.url])
    assert len(server.files) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--sync-every=soon"], "'soon' is no duration of a minute or more, such as 90m, 24h or 7d"),
        (["--sync-every=59s"], "'59s' is no duration of a minute"),
        (["--sync-at=25:00"], "'25:00' is no time of the day, such as 03:00"),
        (["--sync-at=3"], "'3' is no time of the day"),
        (["--sync-every=24h"], "--sync-every and --sync-at go with --watch"),
        (["--sync-at=03:00"], "--sync-every and --sync-at go with --watch"),
        (["--watch", "--sync-every=12h", "--sync-at=03:00"], "--sync-at goes with a --sync-every of a day or more"),
        (["--watch", "--sync-every=24h", "--host={}"], "leave out --host"),
    ],
)
def test_schedules_that_make_no_sense(missed, server, options, problem):
    with pytest.raises(CommandError, match=problem):
        call_command("resto_drain", *(option.format(server.url) for option in options))


@pytest.mark.django_db
def test_watching_begins_to_compare(missed, monkeypatch, capsys):
    """A comparison is done in another thread, which does not see this test's database."""
    begun = []

    def do(self, run, check):
        begun.append((run.kind, run.storage))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(errands.Errands, "do", do)
    call_command("resto_drain", "--watch", "--sync-every=24h")
    assert begun == [("sync", "default")]


@pytest.mark.django_db
def test_what_waits_for_its_time_is_told_of_the_chosen_hosts_and_storages(
    missed, settings, server, capsys, monkeypatch
):
    settings.RESTO_MEDIA_HOSTS = [server.url, "http://other/"]
    settings.STORAGES = {**settings.STORAGES, "copied": {"BACKEND": "resto.storage.DistributedStorage"}}
    Pending.objects.update(due=leases.clock() + 300)
    for chosen in ({"host": ["http://other/"]}, {"storage": ["copied"]}):
        call_command("resto_drain", **chosen)
        assert capsys.readouterr().out == "Nothing is due.\n"
    monkeypatch.setattr(backlog, "MOST", 1)
    call_command("resto_drain", host=[server.url])
    assert capsys.readouterr().out == "Nothing is due; more than 1 names are pending, the next is due in 5 minutes.\n"


@pytest.mark.django_db
def test_what_is_under_way_is_not_told(missed, capsys):
    Pending.objects.update(due=leases.clock() + 300, quiet_until=leases.clock() + 300, error="")
    call_command("resto_drain")
    assert capsys.readouterr().out == "Nothing is due.\n"


@pytest.mark.django_db
def test_what_is_not_due_yet_is_taken_as_far_as_grace_allows(missed, server, capsys, monkeypatch):
    monkeypatch.setattr(rests, "PART", 1)
    soon = leases.clock() + 1_000
    Pending.objects.update(due=soon)
    Pending.objects.filter(name="b").update(quiet_until=soon)
    call_command("resto_drain")
    assert capsys.readouterr().out == "Nothing is due; 2 names are pending, the next is due in 17 minutes.\n"
    call_command("resto_drain", "--now", storage=["default"], host=[server.url])
    assert capsys.readouterr().out == "1 sent.\n"
    assert set(server.files) == {"a"}
    call_command("resto_drain", "--now")
    assert capsys.readouterr().out == "Nothing is due; 1 name is pending, the next is due in 17 minutes.\n"
    Pending.objects.update(quiet_until=0)
    server.on_applied = lambda method, path: os.kill(os.getpid(), signal.SIGTERM)
    call_command("resto_drain", "--now", "--watch")
    assert capsys.readouterr().out == "Watching the record.\n1 sent.\nEnded.\n"
    assert set(server.files) == {"a", "b"}


@pytest.mark.django_db
def test_what_fails_now_is_tried_once(missed, server, capsys):
    server.refuse_code = 500
    Pending.objects.update(due=leases.clock() + 1_000)
    with pytest.raises(CommandError, match="will be tried again"):
        call_command("resto_drain", "--now")
    assert capsys.readouterr().out == "2 failed.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("options", [[], ["--watch"]])
def test_record_that_cannot_be_reached_now(missed, monkeypatch, options):
    def fail(storages, hosts):
        raise OperationalError("it is down")

    monkeypatch.setattr(resto_drain, "make_due", fail)
    with pytest.raises(CommandError, match="The record cannot be reached: it is down"):
        call_command("resto_drain", "--now", *options)


@pytest.mark.django_db
@pytest.mark.parametrize(("option", "direct"), [([], None), (["--direct"], True), (["--no-direct"], False)])
@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_way_of_the_work_of_queues(missed, monkeypatch, option, direct, watch):
    given = []

    def drain_into(total, **options):
        given.append(options["direct"])
        os.kill(os.getpid(), signal.SIGTERM) if watch else None

    monkeypatch.setattr(traced, "drain_into", drain_into)
    call_command("resto_drain", *option, *watch)
    assert given == [direct]


@pytest.mark.django_db
def test_progress_is_shown_on_a_terminal(missed, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    call_command("resto_drain")
    assert "Draining: |" in terminal.getvalue()


@pytest.mark.django_db
def test_working_directory_is_never_published(missed, settings, server, capsys, caplog):
    settings.MEDIA_ROOT = ""
    requests = len(server.requests)
    with pytest.raises(CommandError, match="will be tried again"):
        call_command("resto_drain")
    assert capsys.readouterr().out == "2 failed.\n"
    assert "Failed to drain STORAGES['default']. MEDIA_ROOT is not set" in caplog.text
    assert len(server.requests) == requests


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [[], ["--watch"]])
def test_missing_table_is_named_with_what_to_do(missed, options):
    with connection.schema_editor() as editor:
        editor.delete_model(Pending)
    try:
        with pytest.raises(CommandError, match=r"manage\.py migrate resto"):
            call_command("resto_drain", *options)
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Pending)


@pytest.mark.django_db
def test_database_that_fails(missed, monkeypatch):
    def fail(limit, **options):
        raise OperationalError("it is down")

    monkeypatch.setattr(claims, "claim", fail)
    with pytest.raises(CommandError, match="The record cannot be reached: it is down"):
        call_command("resto_drain")


@pytest.mark.django_db
def test_watching_outlives_a_database_that_is_away(missed, server, monkeypatch, capsys):
    problems = ["it is down", "it is gone", "it is a replica", "it is not ours"]
    kinds = [OperationalError, InterfaceError, InternalError, ProgrammingError]
    real, failures = claims.claim, [kind(problem) for kind, problem in zip(kinds, problems, strict=True)]

    def claim(*args, **options):
        if failures:
            raise failures.pop(0)
        return real(*args, **options)

    monkeypatch.setattr(claims, "claim", claim)
    monkeypatch.setattr(watching, "INTERVAL", 0.01)
    monkeypatch.setattr(watching, "close_old_connections", lambda: None)  # that of the test
    server.on_applied = lambda method, path: len(server.files) == 2 and os.kill(os.getpid(), signal.SIGTERM)
    call_command("resto_drain", "--watch")
    printed, errors = capsys.readouterr()
    assert printed == "Watching the record.\n2 sent.\nThe record can be used again.\nEnded.\n"
    assert errors.splitlines() == [
        f"The record cannot be reached, and is tried again: {problem}" for problem in problems
    ]


@pytest.mark.django_db
def test_watching_says_once_what_it_cannot_look_after(missed, server, settings, capsys):
    hybrid = "resto.storage.HybridStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "moved": {"BACKEND": "no.such.Storage"},
        "mute": {"BACKEND": hybrid, "OPTIONS": {"hosts": []}},
        "wrong": {"BACKEND": hybrid, "OPTIONS": {"transport": "webdaw"}},
    }
    server.on_applied = lambda method, path: len(server.files) == 2 and os.kill(os.getpid(), signal.SIGTERM)
    call_command("resto_drain", "--watch")
    printed, errors = capsys.readouterr()
    assert printed == "Watching the record.\n2 sent.\nEnded.\n"
    moved, mute, wrong = errors.splitlines()
    assert moved.startswith("STORAGES['moved']: its BACKEND 'no.such.Storage' cannot be imported: ModuleNotFoundError")
    assert mute.startswith("STORAGES['mute']: no hosts (Set RESTO_MEDIA_HOSTS")
    assert wrong.startswith("STORAGES['wrong']: no transport named 'webdaw'; known: ")
    assert "Did you mean 'webdav'?" in wrong


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "lines"),
    [(0, ["120 sent."]), (61, ["50 sent.", "50 sent.", "20 sent."])],
)
def test_watching_tells_of_a_backlog_when_it_is_worked_off_or_once_a_minute(
    missed, server, media_root, monkeypatch, capsys, seconds, lines
):
    """Each look at the record takes so many seconds."""
    Pending.objects.all().delete()
    names = [f"{number}.txt" for number in range(120)]
    for name in names:
        (media_root / name).write_bytes(b"1")
    opening.open_leases("default", [(server.url, name) for name in names])
    Pending.objects.update(due=0, quiet_until=0)
    monkeypatch.setattr(watching, "monotonic", itertools.count(0, seconds).__next__)
    server.on_applied = lambda method, path: len(server.files) == 120 and os.kill(os.getpid(), signal.SIGTERM)
    call_command("resto_drain", "--watch")
    assert capsys.readouterr().out.splitlines() == ["Watching the record.", *lines, "Ended."]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("new_overview")
def test_metrics_while_it_watches(missed, server, capsys):
    pages = []

    def applied(method, path):
        said = capsys.readouterr().out
        pages.extend(requests.get(url).text for url in re.findall(r"^Metrics are at (.*)\.$", said, re.MULTILINE))
        os.kill(os.getpid(), signal.SIGTERM)

    server.on_applied = applied
    call_command("resto_drain", "--watch", "--metrics", "0")
    assert [re.findall("^resto_record_up", page, re.MULTILINE) for page in pages] == [["resto_record_up"]]


@pytest.mark.django_db(transaction=True)
def test_metrics_that_nobody_can_see(missed, server, settings, capsys):
    settings.RESTO_SECRETS = {"metrics": ""}
    server.on_applied = lambda method, path: os.kill(os.getpid(), signal.SIGTERM)
    call_command("resto_drain", "--watch", "--metrics", "0")
    assert capsys.readouterr().err.startswith("Nobody can see them: RESTO_SECRETS['metrics'] is empty, or no text.")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--metrics", "0"], "--metrics goes with --watch"),
        (["--watch", "--metrics", "media"], "'media' is no address"),
        (["--watch", "--metrics", "192.0.2.1:9100"], "cannot be served on 192.0.2.1 port 9100"),
    ],
)
def test_metrics_that_cannot_be_served(options, problem):
    with pytest.raises(CommandError, match=problem):
        call_command("resto_drain", *options)


@pytest.mark.usefixtures("without_application")
def test_nothing_is_recorded_without_the_application():
    with pytest.raises(CommandError, match="INSTALLED_APPS"):
        call_command(resto_drain.Command())


def test_drain_in_a_test_that_must_not_use_the_database():
    with pytest.raises(CommandError, match="The record cannot be reached: Database access not allowed"):
        call_command("resto_drain")


# As a process.


PROGRAM = """
from pathlib import Path
from resto.record import opening
from resto.models import Pending

if not Pending.objects.exists():
    opening.open_leases("default", [(url, path.name) for path in Path(media).iterdir()])
    Pending.objects.update(due=0, quiet_until=0)
execute_from_command_line(["manage.py", "resto_drain", *arguments])
"""


def start(url, media):
    return processes.start(PROGRAM, url, media, stderr=subprocess.PIPE)


def test_interruption_says_what_was_done_and_leaves_the_rest(tmp_path, resto_server_factory):
    """However often the keys are pressed. What was under way, and only that, stays with this drain until its lease ends."""
    server, media = resto_server_factory(), tmp_path / "media"
    media.mkdir()
    for number in range(150):
        (media / f"{number}.txt").write_bytes(b"1")
    with start(server.url, media) as process:
        interrupt(process, server, lambda method: len(server.files) >= 20)
        _, errors = process.communicate()
    assert process.returncode == 130
    said = re.fullmatch(
        r"CommandError: Interrupted: (\d+) sent\. The rest stays recorded, and what was under way is due in 5 minutes\.\n",
        errors,
    )
    assert said, errors
    done = int(said[1])
    assert 1 <= done < 150
    with start(server.url, media) as process:
        printed, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    later = int(re.fullmatch(r"(\d+) sent\.\n", printed)[1])
    assert 150 - done - WIDEST - BACKLOG <= later <= 150 - done
