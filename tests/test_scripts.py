"""What is around the package: commands for those who work on it, and what continuous integration may do."""

import re

import pytest
import yaml

from kit.documents import ROOT


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))


# Continuous integration.


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_named_by_hash(path):
    """A tag can be moved, to other code. The comment tells people, and what updates hashes, which version it is."""
    used = re.findall(r"\buses: *(.*)", path.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_may_read_and_nothing_else(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        for step in job["steps"]:
            assert "secrets." not in str(step)
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    assert "pull_request_target" not in workflow[True]  # "on", for YAML 1.1
