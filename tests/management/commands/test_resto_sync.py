"""``manage.py resto_sync``: what it chooses, prints and ends with."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from contextlib import suppress

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError

from kit import processes
from kit.processes import interrupt
from kit.record import files
from resto.management.interruption import UNREAD
from resto.models import Pending
from resto.record import opening
from resto.repair.drain import drain
from resto.repair.sync import handing


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def site(settings, servers, media_root):
    """Two storages of resto, and one of Django."""
    media_root.mkdir()

    def storage(name, number):
        options = {"hosts": [servers[number].url], "transport": "webdav"}
        if name == "HybridStorage":
            options["location"] = str(media_root)
        return {"BACKEND": f"resto.storage.{name}", "OPTIONS": options}

    settings.STORAGES = {
        "default": storage("HybridStorage", 0),
        "archive": storage("HybridStorage", 1),
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return media_root


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


def run(*arguments, **options):
    """Run the command; return whether everything agrees, and what it printed."""
    out, problems = io.StringIO(), []
    try:
        call_command("resto_sync", *arguments, stdout=out, **options)
    except CommandError as error:
        problems.append((str(error), error.returncode))
    assert problems in ([], [("Not everything agrees.", 1)])
    return not problems, out.getvalue()


def test_all_storages_of_resto_are_compared(site, servers):
    (site / "a").write_bytes(b"1")
    (site / "d").mkdir()
    (site / "d" / "b").write_bytes(b"22")

    agrees, printed = run()

    assert agrees
    assert [server.files for server in servers] == [{"a": b"1", "d/b": b"22"}] * 2
    first, second = (server.url for server in servers)
    assert sorted(printed.splitlines()) == sorted(
        [
            f"{first}: missing a (sent)",
            f"{first}: missing d/b (sent)",
            f"default: {first}: 2 files compared, 2 missing, 2 sent.",
            f"{second}: missing a (sent)",
            f"{second}: missing d/b (sent)",
            f"archive: {second}: 2 files compared, 2 missing, 2 sent.",
        ]
    )
    assert run() == (
        True,
        f"default: {first}: 2 files compared.\narchive: {second}: 2 files compared.\n",
    )


def test_dry_run_changes_nothing_and_says_what_differs(site, servers):
    (site / "a").write_bytes(b"1")

    agrees, printed = run("--dry-run")

    assert not agrees
    assert f"{servers[0].url}: missing a (found)" in printed
    assert [server.files for server in servers] == [{}, {}]


def test_storage_and_host_and_prefix_limit_it(site, servers):
    for name in ("a", "d/b"):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_bytes(b"1")

    run("--storage", "archive", "--prefix", "d/")
    assert [server.files for server in servers] == [{}, {"d/b": b"1"}]
    run("--host", servers[0].url, "--host", servers[0].url)
    assert [server.files for server in servers] == [{"a": b"1", "d/b": b"1"}, {"d/b": b"1"}]


def test_extra_files_are_removed_on_demand(site, servers):
    for number in range(20):
        (site / str(number)).touch()
        servers[0].create_file(str(number), b"")
    servers[0].create_file("extra", b"")
    options = ["--storage", "default"]

    agrees, printed = run(*options)
    assert not agrees
    assert f"{servers[0].url}: extra extra (kept)" in printed
    agrees, printed = run(*options, "--delete", "--max-delete", "4.5")
    assert not agrees
    assert f"{servers[0].url}: 1 of its 21 files would be removed, which is more than 4.5 %" in printed
    assert servers[0].has_file("extra")
    agrees, printed = run(*options, "--delete")
    assert agrees
    assert not servers[0].has_file("extra")


def test_force_removes_everything(site, servers):
    servers[0].create_file("extra", b"")
    agrees, printed = run("--storage", "default", "--delete")
    assert not agrees
    assert "is empty or missing; is it mounted?" in printed
    assert run("--storage", "default", "--delete", "--force")[0]
    assert servers[0].files == {}


def test_checksum_compares_contents(site, servers):
    (site / "a").write_bytes(b"1")
    servers[0].create_file("a", b"2")
    assert run("--storage", "default") == (True, f"default: {servers[0].url}: 1 file compared.\n")
    agrees, printed = run("--storage", "default", "--checksum")
    assert agrees
    assert f"{servers[0].url}: different a (sent)" in printed
    assert servers[0].files == {"a": b"1"}


def test_a_host_that_is_down_is_named_and_the_others_are_synchronized(site, servers):
    (site / "a").write_bytes(b"1")
    servers[0].refuse = True

    agrees, printed = run()

    assert not agrees
    assert f"{servers[0].url}: / cannot be listed: connection refused." in printed
    assert "Traceback" not in printed
    assert servers[1].files == {"a": b"1"}


def test_json_is_one_object(site, servers):
    (site / "a").write_bytes(b"1")
    (site / "new\nline").write_bytes(b"1")
    servers[0].create_file("extra", b"")

    agrees, printed = run("--storage", "default", "--json")

    report = json.loads(printed)
    assert report["agrees"] is agrees is False
    url = servers[0].url
    by_name = {found["name"]: found for found in report["differences"]}
    assert by_name["a"] == {
        "storage": "default",
        "type": "difference",
        "host": url,
        "name": "a",
        "kind": "missing",
        "here": 1,
        "there": None,
        "state": "repaired",
        "problem": "",
    }
    assert by_name["new\nline"]["type"] == "notice"
    assert by_name["extra"]["state"] == "kept"
    (host,) = report["storages"]["default"]["hosts"]
    assert (host["compared"], host["missing"], host["repaired"], host["extra"]) == (1, 1, 1, 1)


def test_json_without_differences(site, servers):
    assert json.loads(run("--json")[1])["differences"] == []


def test_names_are_printed_so_that_they_stay_on_their_line(site, servers):
    (site / "new\nline").write_bytes(b"1")
    (site / os.fsdecode(b"\xff")).write_bytes(b"1")
    _, printed = run("--storage", "default")
    assert "master copy: skipped new\\nline: its name cannot be stored" in printed
    assert "skipped \\udcff:" in printed
    printed.encode()


def test_verbosity_0_prints_the_summary_only(site, servers, monkeypatch, capsys, caplog):
    (site / "a").write_bytes(b"1")
    _, printed = run(verbosity=0)
    assert len(printed.splitlines()) == 2
    (site / "b").write_bytes(b"1")
    servers[0].refuse_code, servers[0].fault_methods = 500, {"PUT"}
    caplog.set_level(logging.WARNING, logger="resto")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    run(verbosity=0)
    assert capsys.readouterr().err == ""
    run()
    assert servers[0].url in capsys.readouterr().err


def test_hosts_without_a_master_copy_are_reported(settings, servers):
    hosts = [server.url for server in servers]
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": {"hosts": hosts, "transport": "webdav"}}
    }
    servers[0].create_file("a", b"1")
    servers[1].create_file("a", b"22")
    servers[1].create_file("b", b"same")
    servers[0].create_file("b", b"SAME")

    agrees, printed = run("--checksum")

    assert not agrees
    assert f"a: {hosts[0]}: 1 byte, {hosts[1]}: 2 bytes" in printed
    assert f"b: contents differ: {hosts[0]}: 4 bytes, {hosts[1]}: 4 bytes" in printed
    assert "default: 2 files differ between hosts" in printed
    servers[1].create_file("b", b"SAME")
    assert "default: 1 file differs between hosts" in run("--checksum")[1]


@pytest.fixture
def distributed(settings, servers):
    hosts = [server.url for server in servers]
    options = {"hosts": hosts, "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    servers[0].create_file("a", b"1")
    return hosts


@pytest.mark.django_db
def test_what_differs_is_handed_over(site, servers):
    (site / "a").write_bytes(b"1")
    servers[1].create_file("b", b"2")
    done, printed = run("--storage", "archive", "--hand-over")
    assert (done, servers[1].files) == (False, {"b": b"2"})  # an extra file is kept, and is no agreement
    assert f"{servers[1].url}: missing a (handed over)" in printed
    assert "1 missing, 1 extra, 0 sent, 1 handed over to drains, 0 removed." in printed
    done, printed = run("--storage", "archive", "--hand-over", "--delete", "--max-delete", "100", "--json")
    [host] = json.loads(printed)["storages"]["archive"]["hosts"]
    assert (done, host["handed_over"], host["agrees"], json.loads(printed)["agrees"]) == (True, 2, False, False)
    drain()
    assert run("--storage", "archive", "--hand-over", "--wait")[0]
    assert servers[1].files == {"a": b"1"}


@pytest.mark.django_db
def test_named_host_decides(distributed, servers):
    agrees, printed = run("--from", distributed[0])
    assert (agrees, servers[1].files) == (True, {"a": b"1"})
    assert f"{distributed[1]}: missing a (sent)" in printed


@pytest.mark.django_db
@pytest.mark.usefixtures("identities_apply")
def test_host_that_has_lost_its_files_is_filled(distributed, servers):
    agrees, printed = run("--prefix", "none")
    assert (agrees, "1 file compared" in printed) == (False, False)
    assert f"{distributed[1]}: 0 files compared, left out until it is filled." in printed
    with pytest.raises(CommandError, match="has lost its files, and is filled from the others"):
        call_command("resto_sync", "--from", distributed[1])
    lease = opening.open_change("default", [distributed[1]], "new", present=False)
    Pending.objects.update(attempts=1)
    agrees, printed = run()
    assert not agrees
    assert "left out as long as something is pending for it: run manage.py resto_drain, and then this again." in printed
    lease.forget()
    agrees, printed = run("--json")
    assert [host["fill"] for host in json.loads(printed)["storages"]["default"]["hosts"]] == ["", "filled"]
    assert (agrees, files(servers)) == (True, [{"a": b"1"}] * 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--from", "http://other/"],
            "STORAGES['default'] has no host http://other/; choose a storage with --storage.",
        ),
        (["--from", "{0}", "--host", "{1}"], "--from compares all hosts; leave out --host."),
        (["--from", "{0}"], "--from needs the record, and nothing is recorded here."),
    ],
)
def test_host_that_cannot_be_the_one_that_is_right_is_refused(distributed, arguments, message):
    with pytest.raises(CommandError) as caught:
        call_command("resto_sync", *(argument.format(*distributed) for argument in arguments))
    assert str(caught.value) == message


def test_master_copy_is_what_is_right(site, servers):
    with pytest.raises(CommandError, match="has a master copy, which is what is right"):
        call_command("resto_sync", "--storage", "default", "--from", servers[0].url)


def test_hosts_that_do_not_list_are_named(settings, resto_server_factory, media_root):
    media_root.mkdir()
    (media_root / "a").touch()
    host = resto_server_factory(webdav=False).url
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": [host]}}}
    agrees, printed = run()
    assert agrees
    assert "1 directory not listed by the host, so that extra files there cannot be seen" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--storage", "other"], "resto has no storage 'other'; it has default, archive."),
        (["--storage", "staticfiles"], "resto has no storage 'staticfiles'; it has default, archive."),
        (["--storage", ""], "resto has no storage ''; it has default, archive."),
        (["--prefix="], "--prefix is empty: is the variable set? Leave it out, if everything is meant."),
        (["--prefix", "  "], "--prefix is empty"),
        (["--from="], "STORAGES['default'] has no host ; choose a storage with --storage."),
        (["--host", "http://other/"], "There is no host http://other/; there are http://127"),
        (["--prefix", "../a"], "--prefix: '../a' leads out of its directory by '..'"),
        (["--max-delete", "many"], "many is not a percentage"),
        (["--max-delete", "101"], "101 is not a percentage"),
        (["--wait"], "--wait goes with --hand-over only."),
        (["--hand-over", "--dry-run"], "--dry-run changes nothing, and hands nothing over."),
        (["--hand-over"], "--hand-over needs the record, and nothing is recorded here."),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said(site, arguments, message):
    with pytest.raises(CommandError) as caught:
        call_command("resto_sync", *arguments)
    assert message in str(caught.value)


def test_a_site_without_storages_of_resto(settings):
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with pytest.raises(CommandError, match="none of resto"):
        call_command("resto_sync")


def test_wrong_settings_are_said_before_anything_is_done(settings, site):
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": ["ftp://a/"]}}}
    with pytest.raises(CommandError, match="invalid host"):
        call_command("resto_sync")
    with pytest.raises(SystemCheckError, match=r"resto\.E003"):
        call_command("resto_sync", skip_checks=False)


def test_working_directory_is_never_published(settings, servers, tmp_path, monkeypatch):
    (tmp_path / "settings.py").write_text("SECRET_KEY = 'secret'")
    monkeypatch.chdir(tmp_path)
    settings.MEDIA_ROOT = ""
    hosts = {"hosts": [servers[0].url], "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": hosts}}
    with pytest.raises(CommandError, match=r"STORAGES\['default'\]: MEDIA_ROOT is not set"):
        call_command("resto_sync")
    assert servers[0].requests == []


# As a process.


def start(url, media, *arguments, **options):
    program = 'execute_from_command_line(["manage.py", "resto_sync", *arguments])'
    return processes.start(program, url, media, *arguments, **options)


def test_the_exit_code_tells_whether_everything_agrees(site, servers):
    (site / "a").write_bytes(b"1")
    for arguments, code in ((["--dry-run"], 1), ([], 0), (["--dry-run"], 0)):
        with start(servers[0].url, site, *arguments, forked=True, stderr=subprocess.PIPE) as process:
            printed, errors = process.communicate()
        assert process.returncode == code
        assert errors == ("CommandError: Not everything agrees.\n" if code else "")
        assert printed


def test_interruption_reads_like_a_sentence(site, servers):
    """However often the keys are pressed."""
    (site / "a").write_bytes(b"1")
    with start(servers[0].url, site, stderr=subprocess.PIPE) as process:
        interrupt(process, servers[0], lambda method: method == "PUT")
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "CommandError: Interrupted: nothing was sent. Run the command again for the rest.\n"


def test_interruption_tells_what_was_done(site, servers):
    """The first file of a directory is sent before the others."""
    for name in ("a", "b"):
        (site / name).write_bytes(b"1")
    servers[0].create_file("c", b"old")
    with start(servers[0].url, site, "--delete", "--force", stderr=subprocess.PIPE) as process:
        interrupt(process, servers[0], lambda method: {"a", "b"} <= servers[0].files.keys())
        _, errors = process.communicate()
    assert errors == "CommandError: Interrupted: 1 sent, 1 removed. Run the command again for the rest.\n"


@pytest.mark.django_db
@pytest.mark.parametrize(("drained", "left"), [(1, "are"), (2, "is"), (3, None)])
def test_interruption_tells_what_drains_have_still_to_send(site, monkeypatch, drained, left):
    for name in ("a", "b", "c"):
        (site / name).write_bytes(b"1")

    def interrupt(seconds):
        drain(limit=drained)
        raise KeyboardInterrupt

    monkeypatch.setattr(handing, "sleep", interrupt)
    with pytest.raises(CommandError) as caught:
        call_command("resto_sync", "--storage", "archive", "--hand-over", "--wait", stdout=io.StringIO())
    waiting = left and f"Of these, {3 - drained} {left} pending, and sent by manage.py resto_drain. "
    assert str(caught.value) == f"Interrupted: 3 handed over. {waiting or ''}Run the command again for the rest."


def test_unfinished_uploads_are_counted_in_one_line(site, servers):
    for number in range(3):
        servers[0].create_file(f".resto-{number:016x}", b"half")
    _, printed = run()
    assert (
        printed.splitlines()[0]
        == f"default: {servers[0].url}: 0 files compared, 3 unfinished uploads found and 0 removed."
    )


def read_terminal(descriptor, shown):
    """Add what is written to a terminal, until nobody does any more."""
    with suppress(OSError):
        while block := os.read(descriptor, 10_000):
            shown.append(block)


def test_progress_is_shown_on_a_terminal_only(site, servers):
    """All files are in one directory; what is sent counts."""
    for number in range(200):
        (site / f"{number:03}").write_bytes(b"1" * 1000)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    shown = []
    with start(servers[0].url, site, forked=True, stderr=slave) as process:
        os.close(slave)
        reader = threading.Thread(target=read_terminal, args=(master, shown))
        reader.start()
        printed, _ = process.communicate()
        reader.join()
    os.close(master)
    assert re.search(r"\rdefault: \d+%\|.*\| \d+ of 200 files, \d+ kB sent \[00:\d\d<", b"".join(shown).decode())
    assert f"{servers[0].url}: missing 000 (sent)\n" in printed


# What is mistyped.


@pytest.mark.parametrize("option", ["--force", "--max-delete=5"])
def test_option_of_a_deletion_that_is_not_asked_for(site, option):
    with pytest.raises(CommandError, match=rf"{option.partition('=')[0]} goes with --delete only\."):
        call_command("resto_sync", option)


@pytest.mark.parametrize(("prefix", "hint"), [("photo", " Did you mean 'photos'?"), ("x", ""), ("photos/2024", "")])
def test_directory_that_nobody_has(site, servers, prefix, hint):
    (site / "photos").mkdir()
    (site / "photos" / "a").write_bytes(b"1")
    servers[0].create_file("films/b", b"2")
    with pytest.raises(CommandError) as caught:
        call_command("resto_sync", "--prefix", prefix)
    assert str(caught.value) == f"--prefix: there is no directory {prefix!r}, neither here nor on a host.{hint}"
    assert run("--prefix", "photos")[0]
    agrees, printed = run("--storage", "default", "--prefix", "films")
    assert (agrees, "extra films/b (kept)" in printed) == (False, True)


def test_nothing_is_said_of_a_comparison_with_a_directory_that_nobody_has(site, capsys):
    with pytest.raises(CommandError):
        call_command("resto_sync", "--prefix", "nope")
    assert capsys.readouterr().out == ""
    with pytest.raises(CommandError):
        call_command("resto_sync", "--prefix", "nope", "--json")
    assert json.loads(capsys.readouterr().out)["differences"] == []


@pytest.mark.parametrize(
    ("name", "hint"), [("photos/a", "--prefix photos is the directory that it is in."), ("b", "Without --prefix it is")]
)
def test_file_in_place_of_a_directory(site, servers, name, hint):
    (site / "photos").mkdir()
    (site / name).write_bytes(b"1")
    before = [dict(server.files) for server in servers]
    with pytest.raises(CommandError) as caught:
        call_command("resto_sync", "--prefix", name)
    assert str(caught.value).startswith(f"--prefix: {name!r} is a file, and no directory. {hint}")
    assert [server.files for server in servers] == before


def test_directory_without_files(site):
    (site / "photos").mkdir()
    assert run("--prefix", "photos")[0]


def test_site_without_uploads(settings, servers, tmp_path):
    """Nobody has saved anything: there is no directory, and hosts are empty."""
    options = {"hosts": [server.url for server in servers], "location": str(tmp_path / "new"), "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    for arguments in ([], ["--delete"], ["--dry-run"]):
        agrees, printed = run(*arguments)
        assert (agrees, printed.count("0 files compared.\n")) == (True, 2)
    servers[0].refuse = True
    assert "is missing; is it mounted?" in run()[1]
    servers[0].refuse = False
    servers[1].create_file("a", b"1")
    agrees, printed = run()
    assert not agrees
    assert "is missing; is it mounted?" in printed


# Who does not want to read everything.


def test_reader_that_has_seen_enough(site, servers):
    """As `resto_sync | head`."""
    for number in range(3_000):
        (site / f"file-with-a-long-name-{number}").touch()
    code = f"""
import sys
from django.conf import settings
settings.configure(
    MEDIA_ROOT={str(site)!r}, MEDIA_URL="/media/",
    STORAGES={{"default": {{"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {{"hosts": [{servers[0].url!r}]}}}}}},
)
import django
django.setup()
from resto.management.commands.resto_sync import Command
Command().run_from_argv(["manage.py", "resto_sync", "--dry-run", "--skip-checks"])
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "missing file-with" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == UNREAD
