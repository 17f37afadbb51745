"""How commands show how far they are."""

import io
import re
import sys
import threading

import pytest

from resto.management import progress as module
from resto.management.progress import ProgressBar
from resto.progress import Progress
from sites.workshop.site import wait_until


@pytest.fixture
def clock(monkeypatch):
    """Seconds, in a list."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def lines(clock, capsys, *told, **options):
    """Return what is written if so much is told, some seconds after each other."""
    with ProgressBar("default", **options) as bar:
        for seconds, progress in told:
            clock[0] += seconds
            bar.follow(progress)
    printed, errors = capsys.readouterr()
    assert printed == ""
    return errors.splitlines()


def test_without_a_terminal_there_is_a_line_each_minute(clock, capsys):
    told = [(1, Progress(done, 600, is_final=True)) for done in range(1, 200)]
    assert lines(clock, capsys, *told) == [
        "default: 60 of 600 files, 9 minutes left",
        "default: 120 of 600 files, 8 minutes left",
        "default: 180 of 600 files, 7 minutes left",
    ]


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(12_300), "12,300 files"),
        (Progress(12_300, 12_400), "12,300 of 12,400 files so far"),
        (Progress(12_300, 12_400, 1_234_567_890, 2_000_000_000), "12,300 of 12,400 files so far, 1.2 GB sent"),
        (Progress(30, 90, is_final=True), "30 of 90 files, 2 minutes left"),
        # What is to be sent takes longer than what has only to be looked at.
        (Progress(30, 31, 1_000, 4_000, is_final=True), "30 of 31 files, 1.0 kB sent, 3 minutes left"),
        (Progress(30, 30, 1_000, 1_000, is_final=True), "30 of 30 files, 1.0 kB sent, 0 seconds left"),
        (Progress(0, 30, is_final=True), "0 of 30 files"),
    ],
)
def test_line_says_how_far_it_is(clock, capsys, progress, line):
    assert lines(clock, capsys, (60, progress)) == [f"default: {line}"]


def test_time_that_is_left_is_that_of_the_last_minute(clock, capsys):
    told = [Progress(900, 1_000, is_final=True), Progress(910, 1_000, is_final=True)]
    assert lines(clock, capsys, *((60, one) for one in told))[-1] == "default: 910 of 1,000 files, 9 minutes left"


def test_line_comes_also_while_nothing_is_told(clock, capsys, monkeypatch):
    """As where one large file is on its way."""
    monkeypatch.setattr(module, "TICK", 0.001)
    written = threading.Event()

    class Stream(io.StringIO):
        def flush(self):
            written.set()

    stream = Stream()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressBar("default") as bar:
        bar.follow(Progress(1, 2, is_final=True))
        clock[0] += 61
        assert written.wait(60)
    assert stream.getvalue() == "default: 1 of 2 files, 61 seconds left\n"


def test_other_things_are_called_by_their_name(clock, capsys):
    told = (60, Progress(1, sent_bytes=2))
    assert lines(clock, capsys, told, things="names", moved="restored") == ["default: 1 names, 2 bytes restored"]


def test_nothing_is_written_of_what_is_short_or_hidden(clock, capsys):
    assert lines(clock, capsys, (59, Progress(1))) == []
    assert lines(clock, capsys, (600, Progress(1)), hidden=True) == []


def test_without_a_terminal_no_time_is_spent_on_a_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # its import fails
    with ProgressBar("default") as bar, bar.beside():
        bar.follow(Progress(1))


def terminal_in(monkeypatch):
    """Return what is written to a terminal from now on."""
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_terminal_shows_a_bar(monkeypatch):
    terminal = terminal_in(monkeypatch)
    with ProgressBar("default", leave=True) as bar:
        bar.follow(Progress(1, 2, 3_000))
        bar.follow(Progress(50, 100, 4_000_000, is_final=True))
    shown = terminal.getvalue().split("\r")
    assert shown[1].startswith("default: |")
    assert "| 0 files [" in shown[1]
    assert shown[-1].startswith("default: 50%|")
    assert "| 50 of 100 files, 4.0 MB sent [" in shown[-1]
    assert shown[-1].endswith("/s]\n")


def test_bar_moves_on_after_a_leap(monkeypatch):
    """`tqdm` would wait for as many more."""
    terminal = terminal_in(monkeypatch)
    seconds = iter(range(1000, 2000))
    monkeypatch.setattr("tqdm.std.time", lambda: next(seconds))
    with ProgressBar("default") as bar:
        for done in (90_000, 90_001, 90_002):
            bar.follow(Progress(done, 100_000))
            assert f"{done:,} of 100,000 files so far" in terminal.getvalue()


def test_bar_shows_how_long_it_has_taken_also_while_nothing_is_told(monkeypatch):
    monkeypatch.setattr(module, "TICK", 0.001)
    seconds = iter(range(1000, 100_000))
    monkeypatch.setattr("tqdm.std.time", lambda: next(seconds))
    terminal = terminal_in(monkeypatch)
    with ProgressBar("default"):
        wait_until(lambda: terminal.getvalue().count("\r") > 3)
    assert "0 files [00:00" in terminal.getvalue()
    assert re.search(r"0 files \[00:0[1-9]", terminal.getvalue())


def test_bar_needs_no_thread(monkeypatch):
    terminal_in(monkeypatch)
    with ProgressBar("default") as bar:
        bar.follow(Progress(1))
        assert [thread for thread in threading.enumerate() if type(thread).__module__.startswith("tqdm")] == []
