"""Which process this is, and whether another one has ended."""

import os
import platform
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.lives import ended_life
from kit.namespaces import UNSHARE, require_namespaces
from resto import life
from resto.life import has_ended, is_seen, this_life


STAYS = "import sys; from resto.life import this_life; print(this_life(), flush=True); sys.stdin.read()"

ASKS = "import sys; from resto.life import has_ended; print(has_ended(sys.argv[1]), end='')"


@pytest.fixture
def other():
    """A process that lives, and its life."""
    with subprocess.Popen([sys.executable, "-c", STAYS], stdin=-1, stdout=-1, text=True) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_process_that_lives(other):
    _, its = other
    assert not has_ended(this_life())
    assert not has_ended(its)
    assert its.split(" ")[0] == this_life().split(" ")[0]
    assert its != this_life()


def test_process_that_was_killed_is_known_to_have_ended_before_anybody_has_taken_note_and_after(other):
    process, its = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(its)
    process.wait()
    assert has_ended(its)


def test_process_that_stands_still_has_not_ended(other):
    process, its = other
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert not has_ended(its)


def test_whose_life_is_not_known_may_live():
    assert not has_ended("")
    assert not is_seen("")


@given(place=st.text("0123456789abcdef", min_size=1, max_size=32), number=st.integers(1, 2**22), began=st.integers(0))
def test_nothing_is_said_of_other_places(place, number, began):
    """Of another machine, another container, or before the machine was started anew: whatever the numbers are."""
    assert not has_ended(f"{place} {number} {began}")
    assert not is_seen(f"{place} {number} {began}")


@given(began=st.integers(0))
def test_a_number_that_somebody_else_has_by_now(began):
    place, number, own = this_life().split(" ")
    assert has_ended(f"{place} {number} {began}") is (str(began) != own)


def test_machines_of_other_names_are_other_places(monkeypatch):
    its = ended_life()
    assert has_ended(its)
    assert is_seen(its)
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert not has_ended(its)


def test_other_namespaces_are_other_places(tmp_path):
    """As in containers: there the number is that of nobody, or of somebody else."""
    require_namespaces(tmp_path)
    command = [*UNSHARE, "--pid", "--fork", "--mount-proc", sys.executable, "-c", ASKS]
    for its in (this_life(), ended_life()):
        assert subprocess.run([*command, its], check=True, capture_output=True, text=True).stdout == "False"


def test_processes_of_another_namespace_are_not_looked_at(tmp_path):
    """Without its own directory of processes, a process of a namespace sees those of other people under its numbers."""
    require_namespaces(tmp_path)
    program = f"{STAYS.partition('; sys.stdin')[0]}; from resto.life import has_ended; print(has_ended(this_life()))"
    command = [*UNSHARE, "--pid", "--fork", sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("missing", ["", "sys/kernel/random/boot_id", "self/ns/pid", "self/stat"])
def test_systems_that_do_not_tell(monkeypatch, tmp_path, missing):
    for name in ("sys/kernel/random/boot_id", "self/ns/pid", "self/stat"):
        if missing and name != missing:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("1 (a) b) S " + "1 " * 40)
    its = ended_life()
    monkeypatch.setattr(life, "_PROC", tmp_path)
    assert this_life() == ""
    assert not has_ended(its)


@pytest.mark.parametrize("is_there", [True, False])
def test_processes_of_others_are_told_of_as_far_as_they_are_shown(monkeypatch, is_there):
    """Those of other users may not be asked, and may be hidden."""

    def kill(number, what):
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    place, number, _ = this_life().split(" ")
    if not is_there:
        monkeypatch.setattr(life, "_stat", lambda number: None)
    assert has_ended(f"{place} {number} 1") is is_there


def test_the_first_thread_may_end_before_others():
    """Such a process is shown as one that has ended."""
    assert life._is_dead(life._Stat("Z", 1, "1"))
    assert not life._is_dead(life._Stat("Z", 2, "1"))
    assert not life._is_dead(life._Stat("S", 1, "1"))


def test_name_of_a_process_may_be_anything(tmp_path, monkeypatch):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a) Z (1)) S {' '.join(map(str, range(1, 40)))}")
    monkeypatch.setattr(life, "_PROC", tmp_path)
    assert life._stat("7") == life._Stat("S", 17, "19")
