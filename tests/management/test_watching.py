"""A process that stays, as a process."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from kit import processes
from resto.management import watching
from resto.names import HOST_IDENTITY
from sites.workshop.site import wait_until


PATIENCE = 300

PROGRAM = """
from pathlib import Path
from resto.record import opening, wishes
from resto.models import Pending

while arguments and arguments[0].startswith("pending:"):
    opening.open_leases("default", [(url, arguments.pop(0).removeprefix("pending:"))])
    Pending.objects.update(due=0, quiet_until=0)
while arguments and arguments[0].startswith("ask:"):
    wishes.ask(arguments.pop(0).removeprefix("ask:"), "default", [], "alice")
execute_from_command_line(["manage.py", "resto_drain", "--watch", *arguments])
"""


@pytest.fixture
def media(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    return media


@pytest.fixture
def start(resto_server_factory, media):
    """A function that starts a process which watches; what still goes on in the end is killed."""
    server, started = resto_server_factory(), []

    def start_one(*arguments):
        process = processes.start(PROGRAM, server.url, media, *arguments, forked=True, stderr=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == "Watching the record.\n", process.communicate()
        return process

    start_one.server = server
    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def end(process):
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert printed.endswith("Ended.\n")
    return printed


def runs(media):
    """What the record says of all runs but that of the process itself."""
    with sqlite3.connect(f"{media}.sqlite3") as connection:
        rows = connection.execute(
            "SELECT kind, code, problems, counts FROM resto_run WHERE kind <> 'watch' ORDER BY id"
        )
        found = [(kind, code, json.loads(problems), json.loads(counts)) for kind, code, problems, counts in rows]
    connection.close()
    return found


def comparisons(media):
    """How each has ended."""
    return [code for kind, code, *_ in runs(media) if kind == "sync"]


def stored(server):
    return {name for name in server.files if not name.startswith(".resto")}


def test_what_was_asked_for_is_done_beside_a_comparison_that_is_due(start, media):
    (media / "a").write_bytes(b"1")
    process = start("ask:probe", "ask:drain", "--sync-every", "1h")
    expected = {("probe", 0), ("drain", 0), ("sync", 0)}
    wait_until(lambda: {run[:2] for run in runs(media)} == expected, lambda: str(runs(media)))
    assert stored(start.server) == {"a"}
    end(process)


def test_a_comparison_does_not_hold_up_draining(start, media):
    """The host lists nothing to the comparison until the drain has sent what is pending."""
    (media / "a").write_bytes(b"1")
    is_drained = threading.Event()

    def applied(method, path):
        if method == "PROPFIND":
            assert is_drained.wait(PATIENCE)
        elif "a" in start.server.files:
            is_drained.set()

    start.server.on_applied = applied
    process = start("pending:a", "--sync-every", "1h")
    wait_until(lambda: comparisons(media) == [0], lambda: str(runs(media)))
    assert is_drained.is_set()
    end(process)


def test_the_end_comes_within_seconds_and_what_was_not_compared_is_due_again(start, media):
    names = {f"{number}.txt" for number in range(200)}
    for name in names:
        (media / name).write_bytes(b"1")
    begun = threading.Event()

    def applied(method, path):
        if len(start.server.files) > 20:
            begun.set()
            time.sleep(0.05)  # a slow host: in 5 s it would not get all of them

    start.server.on_applied = applied
    process = start("--sync-every", "24h")
    assert begun.wait(PATIENCE)
    began = time.monotonic()
    end(process)
    assert time.monotonic() - began < 10
    assert 20 <= len(stored(start.server)) < 200
    assert [run[:3] for run in runs(media)] == [("sync", 130, ["Interrupted."])]
    start.server.on_applied = None
    process = start("--sync-every", "24h")
    wait_until(lambda: comparisons(media) == [130, 0], lambda: str(runs(media)))
    assert stored(start.server) == names
    assert all(content == b"1" for name, content in start.server.files.items() if name != HOST_IDENTITY)
    end(process)


def test_what_was_asked_for_goes_on_at_once_when_its_process_was_killed(start, media):
    """Nobody waits until six signs of life are missing: with SQLite that would be six minutes."""
    (media / "a").write_bytes(b"1")
    begun, goes_on = threading.Event(), threading.Event()

    def applied(method, path):
        begun.set()
        assert goes_on.wait(PATIENCE)

    start.server.on_applied = applied
    process = start("ask:sync")
    assert begun.wait(PATIENCE)
    process.kill()
    process.wait()
    goes_on.set()
    process = start("--sync-every", "24h")
    began = time.monotonic()
    wait_until(lambda: comparisons(media).count(0) == 2, lambda: str(runs(media)))
    assert time.monotonic() - began < 60
    assert stored(start.server) == {"a"}
    end(process)


def test_tables_that_are_missing_for_a_while_are_waited_for(start, media):
    """As where SQLite makes an empty file in the place of one that has vanished."""
    (media / "a").write_bytes(b"1")
    process = start("pending:a")
    assert process.stdout.readline() == "1 sent.\n"
    with contextlib.closing(sqlite3.connect(f"{media}.sqlite3")) as connection:
        connection.execute("ALTER TABLE resto_pending RENAME TO away")
        said = process.stderr.readline()
        assert said.startswith("The record cannot be reached, and is tried again: a table of the record is missing")
        time.sleep(2 * watching.INTERVAL)  # it looks again, and says no more
        connection.execute("ALTER TABLE away RENAME TO resto_pending")
    assert process.stdout.readline() == "The record can be used again.\n"
    end(process)


def test_of_two_processes_one_compares(start, media):
    for number in range(50):
        (media / str(number)).write_bytes(b"1")
    both = [start("--sync-every", "1h") for _ in range(2)]
    wait_until(lambda: comparisons(media) == [0], lambda: str(runs(media)))
    for process in both:
        end(process)
    assert comparisons(media) == [0]


def test_a_drain_that_a_host_holds_up_is_interrupted_in_the_end(start, media):
    (media / "a").write_bytes(b"1")
    begun = threading.Event()
    start.server.on_applied = lambda method, path: begun.set() if method == "PUT" else None
    start.server.fault_methods, start.server.delay = {"PUT"}, 60
    process = start("pending:a")
    assert begun.wait(PATIENCE)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert time.monotonic() - began < 20
    assert [run[:3] for run in runs(media)] == [("drain", 130, ["Interrupted."])]
