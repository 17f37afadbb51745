"""The benchmarks run, and their page says what they have found. That the goals hold is not for tests to say."""

import json
import os
import shutil
import subprocess
import sys
from math import isfinite
from xml.etree import ElementTree

import pytest

from kit import brokers, servers
from kit.documents import ROOT
from kit.kinds import SYSTEM_PROGRAMS


BENCHMARKS = ROOT / "benchmarks"
# In two runs, as results of the same machine are put together.
RUNS = {
    "brief": [["saves", "single", "threads", "reads", "outage"], ["restore", "record"]],
    "whole": [
        ["saves", "single", "threads", "reads", "outage", "large", "network"],
        ["sync", "scale", "restore", "record", "backlog", "lists", "drains", "queues"],
    ],
}
PARTS = [part for run in RUNS["whole"] for part in run]


def run_module(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["brief", pytest.param("whole", marks=pytest.mark.long)])
def measured(request, tmp_path_factory):
    """Each part, with sizes that are as small as can be: what was printed, what was written, and where."""
    for kind in ("nginx", "nginx-dav", "nginx-https", "apache", "rclone"):
        servers.require(kind)
    for kind in (brokers.RedisServer, brokers.PostgreSQL, brokers.MariaDB):
        brokers.require(kind)
    missing = [program for program in ("curl", "rsync") if not shutil.which(program, path=SYSTEM_PROGRAMS)]
    if missing and os.environ.get(servers.REQUIRED) != "1":
        pytest.skip(f"needs Debian's {' and '.join(missing)}")
    path = tmp_path_factory.mktemp("benchmarks") / "results.json"
    printed = [
        run_module("benchmarks", "--quick", "--output", str(path), "--only", *parts) for parts in RUNS[request.param]
    ]
    return "".join(printed), json.loads(path.read_text()), path.parent


def test_a_missing_package_reads_like_a_sentence():
    program = "import sys; sys.modules['pymysql'] = None; from benchmarks.__main__ import main; main()"
    command = [sys.executable, "-c", program, "--quick", "--only", "record"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "`make bench` installs" in done.stderr
    assert "Traceback" not in done.stderr


def test_parts(measured):
    """Each figure is a number with a spread, and is printed; each goal has something to be judged by."""
    printed, results, _ = measured
    parts = results["parts"]
    assert all(part["rows"] for part in parts.values())
    for row in [row for part in parts.values() for row in part["rows"]]:
        assert f"| {row['rival']} " in printed
        for name, spread in row["figures"].items():
            assert name in printed
            assert 0 <= spread["low"] <= spread["median"] <= spread["high"]
            assert isfinite(spread["high"])
            assert spread["samples"] >= 1
    for goal in results["goals"]:
        if goal["part"] in parts:
            assert isfinite(goal["measured"])
            assert goal["holds"] in {True, False}


def test_each_small_save_is_compared_with_all_rivals(measured):
    rivals = {row["rival"] for row in measured[1]["parts"]["saves"]["rows"] if row["work"] == "1 KB save, 3 hosts"}
    assert len(rivals) == 6


def test_machine_is_described(measured):
    assert all(measured[1]["machine"].values())
    assert {"CPU", "cores", "kernel", "Python", "Django", "urllib3", "nginx", "Apache", "rclone"} <= set(
        measured[1]["machine"]
    )


@pytest.fixture(scope="module")
def written(measured, tmp_path_factory):
    """Folders of pages: of what was measured now, and of what was measured for the page of the project."""
    now, kept = measured[2], tmp_path_factory.mktemp("kept")
    shutil.copy(BENCHMARKS / "results.json", kept)
    run_module("benchmarks.page", str(now / "results.json"), str(kept / "results.json"))
    return now, kept


def test_page_has_a_place_for_each_part(measured, written):
    page, parts = (written[0] / "README.md").read_text(), measured[1]["parts"]
    assert page.count("\nOn 20") == len(parts)
    assert page.count("\nNot measured.") == len(PARTS) - len(parts)


def test_plot_has_all_that_it_shows(measured, written):
    texts = "".join(ElementTree.parse(written[0] / "results.svg").getroot().itertext())
    assert "resto Hybrid" in texts
    assert ("not measured" in texts) == (len(measured[1]["parts"]) < len(PARTS))


def test_page_is_made_of_the_results_beside_it(written):
    assert (written[1] / "README.md").read_text() == (BENCHMARKS / "README.md").read_text(), (
        "python -m benchmarks.page benchmarks/results.json writes the page anew"
    )


def test_page_has_all_goals_with_a_verdict():
    goals = json.loads((BENCHMARKS / "results.json").read_text())["goals"]
    page = (BENCHMARKS / "README.md").read_text()
    assert all(goal["holds"] is not None for goal in goals)
    for goal in goals:
        assert f"| {goal['measured']:.2f} " in page
