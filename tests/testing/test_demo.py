import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kit import forks


PATIENCE = 300  # seconds
HOSTS = ("media-1", "media-2", "media-3")
BIG = "a photo of Köln.jpg"


def run_demo(directory, *arguments, python=None, **variables):
    command = [python or forks.python(), "-W", "error", "-m", "resto.testing.demo", *arguments]
    env = os.environ | variables
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("own")
    (directory / "paper.txt").write_bytes(b"content of the paper")
    (directory / BIG).write_bytes(b"\xff\xd8" * 1_500_000)
    return directory


@pytest.fixture(scope="module")
def demo(own_files):
    return run_demo(own_files, "--keep", "paper.txt", BIG, python=sys.executable)


@pytest.fixture(scope="module")
def run_directory(own_files, demo):
    return own_files / "demo-files" / "run-1"


def copies(directory, name):
    """What the master copy and each server have of a name: its size, or None."""
    paths = [directory / copy / "demo" / name for copy in ("master", *HOSTS)]
    return [path.stat().st_size if path.exists() else None for path in paths]


def rows(output, name):
    """The cells of the rows of a file, in all tables: sizes, or words; without the milliseconds."""
    found = re.findall(rf"^  demo/{re.escape(name)}  +(.+)$", output, re.MULTILINE)
    return [re.split(r"  +", re.sub(r" +[\d.]+ ms", "", row)) for row in found]


def test_ends_well(demo):
    assert (demo.returncode, demo.stderr) == (0, "")


@pytest.mark.parametrize("name", ["paper.txt", BIG])
def test_table_tells_what_the_directories_hold(demo, run_directory, own_files, name):
    size = (own_files / name).stat().st_size
    assert rows(demo.stdout, name) == [[f"{size:,}"] * 4]
    assert copies(run_directory, name) == [size] * 4
    for copy in ("master", *HOSTS):
        assert (run_directory / copy / "demo" / name).read_bytes() == (own_files / name).read_bytes()


def test_every_upload_to_a_running_host_was_timed(demo):
    # Two files to three hosts, one to the two hosts that are left, and one to three again.
    assert len(re.findall(r"\d\.\d ms", demo.stdout)) == 11


def test_failed_save_is_explained_and_undone_everywhere(demo, run_directory):
    lost = re.search(r"media-2 +(\S+)", demo.stdout)[1]
    text = " ".join(demo.stdout.split())
    assert (
        f"upload of 'demo/all-or-nothing.txt' failed on 1 of 3 hosts: {lost}: connection refused (the save was undone)."
    ) in text
    assert rows(demo.stdout, "all-or-nothing.txt") == [["none"] * 4]
    assert copies(run_directory, "all-or-nothing.txt") == [None] * 4


def test_missed_file_is_missing_until_it_is_sent(demo, run_directory):
    size = len("content of the paper")
    missing = [str(size), str(size), "missing", str(size)]
    assert rows(demo.stdout, "best-effort.txt") == [missing, missing, [str(size)] * 4]
    assert copies(run_directory, "best-effort.txt") == [size] * 4


def test_next_save_reaches_the_host_that_is_back(demo, run_directory):
    size = len("content of the paper")
    assert rows(demo.stdout, "afterwards.txt") == [[str(size)] * 4]
    assert copies(run_directory, "afterwards.txt") == [size] * 4


def test_output_is_plain_text_for_a_narrow_terminal(demo, run_directory):
    # What it quotes may be long: a path, or the sentence about one host.
    lines = [line for line in demo.stdout.splitlines() if str(run_directory) not in line]
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)


def test_no_server_is_left(demo):
    urls = re.findall(r"^  media-\d +(\S+)", demo.stdout, re.MULTILINE)
    assert len(urls) == 3
    for url in urls:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", urlsplit(url).port)) != 0


def test_names_and_sizes_of_samples_differ(tmp_path):
    done = run_demo(tmp_path, "--keep")
    assert (done.returncode, done.stderr) == (0, "")
    originals = sorted((tmp_path / "demo-files" / "run-1" / "originals").iterdir())
    assert len({path.stat().st_size for path in originals}) == len(originals) == 4
    assert max(path.stat().st_size for path in originals) > 2.5 * 1024 * 1024
    assert not all(path.name.isascii() for path in originals)
    for path in originals:
        assert rows(done.stdout, path.name)[0] == [f"{path.stat().st_size:,}"] * 4


def test_second_run_has_a_directory_of_its_own(own_files, demo):
    done = run_demo(own_files, "--keep", "paper.txt")
    assert f"The files are in {own_files / 'demo-files' / 'run-2'}:" in done.stdout
    assert (own_files / "demo-files" / "run-2" / "media-3" / "demo" / "paper.txt").exists()


def test_current_directory_that_takes_no_directory(tmp_path):
    (tmp_path / "demo-files").write_text("in the way")
    (tmp_path / "a.txt").write_text("data")
    (tmp_path / "tmp").mkdir()
    done = run_demo(tmp_path, "--keep", "a.txt", TMPDIR=str(tmp_path / "tmp"))
    elsewhere = Path(re.search(r"The files are in (.+):", done.stdout)[1])
    assert elsewhere.parent == tmp_path / "tmp"
    assert (elsewhere / "media-1" / "demo" / "a.txt").read_text() == "data"
    assert (tmp_path / "demo-files").read_text() == "in the way"


def test_large_file_is_announced_and_nothing_stays(tmp_path):
    size = 60_000_000
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(size)
    (tmp_path / "a.txt").write_text("data")
    (tmp_path / "tmp").mkdir()
    done = run_demo(tmp_path, "film.mp4", "a.txt", TMPDIR=str(tmp_path / "tmp"))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"film.mp4 has {size:,} bytes: it is written to the master copy, and sent to the hosts ..." in done.stdout
    assert "a.txt has" not in done.stdout
    assert "All copies are removed; with --keep" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "film.mp4", "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_name_that_no_server_could_store(tmp_path):
    (tmp_path / ".resto-a").write_text("data")
    done = run_demo(tmp_path, ".resto-a")
    assert done.returncode == 1
    assert "is a name of resto's own files" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argument", "problem"), [("missing.txt", "no such file or directory"), (".", "is a directory")]
)
def test_argument_that_is_no_file(tmp_path, argument, problem):
    done = run_demo(tmp_path, argument)
    assert done.stderr == f"The demo cannot go on: {argument}: {problem}.\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_name(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    done = run_demo(tmp_path, "--keep", "one/a.txt", "two/a.txt")
    assert done.returncode == 0
    saved = (tmp_path / "demo-files" / "run-1" / "media-2" / "demo").glob("a*.txt")
    assert {path.read_text() for path in saved if path.name != "afterwards.txt"} == {"one", "two"}


def test_demo_that_is_told_to_end_leaves_no_server(tmp_path):
    command = [sys.executable, "-m", "resto.testing.demo"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    ports = [urlsplit(line.split()[1]).port for line in lines[1:]]
    for port in ports:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
