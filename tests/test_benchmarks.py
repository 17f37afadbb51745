"""The benchmarks run, and their page says what they have found. That the goals hold is not for tests to say."""

import json
import re
import subprocess
import sys
from math import isfinite
from xml.etree import ElementTree

import pytest

from documents import ROOT, without_blocks


BENCHMARKS = ROOT / "benchmarks"
# In two runs, as results of the same machine are put together.
RUNS = [["saves", "single", "threads", "outage", "large"], ["sync", "record", "queues"]]
PARTS = [part for run in RUNS for part in run]


def run_module(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Everything, with sizes that are as small as can be: what was printed, and what was written."""
    path = tmp_path_factory.mktemp("benchmarks") / "results.json"
    printed = [run_module("benchmarks", "--quick", "--output", str(path), "--only", *parts) for parts in RUNS]
    return "".join(printed), json.loads(path.read_text()), path


def test_all_parts_are_measured(measured):
    assert list(measured[1]["parts"]) == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_part(part, measured):
    """Each figure is a number with a spread, and is printed; each goal has something to be judged by."""
    printed, results, _ = measured
    assert results["parts"][part]["rows"]
    for row in results["parts"][part]["rows"]:
        assert f"| {row['rival']} " in printed
        for name, spread in row["figures"].items():
            assert name in printed
            assert 0 <= spread["low"] <= spread["median"] <= spread["high"]
            assert isfinite(spread["high"])
            assert spread["samples"] >= 1
    for goal in results["goals"]:
        if goal["part"] == part:
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
