"""What is around the package: commands for those who work on it, and what continuous integration may do."""

import json
import os
import re
import runpy
import subprocess
import sys
import tarfile

import pytest
import yaml

from kit.documents import ROOT


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))
# It has no secret: the index believes whoever GitHub says it is.
PUBLISHING = {"id-token": "write", "attestations": "write"}


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
    for name, job in workflow["jobs"].items():
        publishes = (path.name, name) == ("release.yml", "publish")
        assert job["permissions"] == (PUBLISHING if publishes else {"contents": "read"})
        for step in job["steps"]:
            assert "secrets." not in str(step)
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    assert "pull_request_target" not in workflow[True]  # "on", for YAML 1.1


# What is installed with apt-get.


@pytest.fixture
def machine(tmp_path):
    """A Debian that has nothing, and a person who is root there; what is called, and what is said, is in one list."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def add(name, script):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    add("apt-get", 'echo "CALLED apt-get $*" >&3')
    add("id", "echo 0")
    for name in ("dpkg-query", "chmod", "rm"):
        add(name, "exit 0")
    add("tee", "cat >/dev/null")
    # A Python without venv.
    add("old-python", 'case "$*" in *ensurepip*) exit 1 ;; *-venv*) echo python3.99-venv ;; esac')

    def run(*command, **environment):
        with (tmp_path / "said").open("w") as said:
            environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "SERVERS": ""} | environment
            environment.pop("MAKEFLAGS", None)  # of the make that runs the tests
            command = ["sh", "-c", 'exec "$@" 3>&1 2>&1', "sh", *map(str, command)]
            code = subprocess.run(command, cwd=ROOT, env=environment, stdout=said, stdin=subprocess.DEVNULL).returncode
        return code, (tmp_path / "said").read_text().splitlines()

    return run


def first(lines, text):
    return next(number for number, line in enumerate(lines) if text in line)


def test_packages_are_named_before_they_are_installed(machine):
    _, said = machine("scripts/install-servers")
    announced = first(said, "About to install with apt-get")
    assert announced < first(said, "CALLED apt-get")
    (call,) = [line for line in said if " install --no-install-recommends" in line]
    assert call.partition("--no-install-recommends ")[2] == said[announced].partition("): ")[2]
    assert "SERVERS=no" in said[announced]
    assert "nginx" in said[announced]


def test_servers_can_be_left_out(machine):
    code, said = machine("scripts/install-servers", SERVERS="no")
    assert (code, len(said)) == (0, 1)
    assert "no packages are installed" in said[0]


@pytest.mark.parametrize("target", ["test", "coverage", "bench"])
def test_make_hands_the_wish_on(machine, tmp_path, target):
    """As far as the script, which is the first thing that they do."""
    for stamp in (".made", ".installed-test"):
        (tmp_path / "venv").mkdir(exist_ok=True)
        (tmp_path / "venv" / stamp).touch()
    _, said = machine("make", f"VENV={tmp_path}/venv", "SERVERS=no", target)
    assert [line for line in said if "no packages are installed" in line]
    assert not [line for line in said if "CALLED apt-get" in line]


def make_environment(machine, tmp_path, *options):
    return machine(
        "make", f"VENV={tmp_path}/venv", f"PYTHON={tmp_path}/bin/old-python", *options, f"{tmp_path}/venv/.made"
    )


def test_venv_is_named_before_it_is_installed(machine, tmp_path):
    _, said = make_environment(machine, tmp_path)
    announced = first(said, "About to install with apt-get")
    assert said[announced].endswith("python3.99-venv")
    assert announced < first(said, "CALLED apt-get")


def test_venv_can_be_left_out(machine, tmp_path):
    code, said = make_environment(machine, tmp_path, "SERVERS=no")
    assert code != 0
    assert "Install it: apt-get install python3.99-venv" in "\n".join(said)
    assert not [line for line in said if "CALLED apt-get" in line]


# The audit.


@pytest.fixture
def audit(tmp_path):
    """Run it, with something in place of pip-audit that prints what it is told."""

    def run(code, printed="", complaint=""):
        source = f"import sys; print({printed!r}); print({complaint!r}, file=sys.stderr); sys.exit({code})"
        (tmp_path / "pip_audit.py").write_text(source)
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "scripts/audit"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout

    return run


def package(name, *ids):
    return {"name": name, "version": "1.0", "vulns": [{"id": one, "fix_versions": ["1.1"]} for one in ids]}


EDITABLE = {"name": "resto", "skip_reason": "distribution marked as editable"}
MISSING = {"name": "rq", "skip_reason": "Dependency not found on PyPI and could not be audited: rq (3.0)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([package("Django"), EDITABLE], 0, "0 of 1 packages have known vulnerabilities.\n"),
        (
            [package("Django", "CVE-1"), package("rq"), EDITABLE],
            1,
            "Django 1.0: CVE-1, fixed in 1.1\n1 of 2 packages have known vulnerabilities.\n",
        ),
        ([package("Django"), MISSING], 0, "Nothing is known of rq.\n0 of 1 packages have known vulnerabilities.\n"),
    ],
)
def test_audit_tells_what_is_known(audit, packages, code, said):
    assert audit(code, json.dumps({"dependencies": packages, "fixes": []})) == (code, said)


@pytest.mark.parametrize(
    ("printed", "complaint"),
    [
        ("", "ERROR:pip_audit._cli:Tip: your network may be blocking this service"),
        ("", ""),
        ("Traceback", "No module named pip_audit"),
        (json.dumps({"dependencies": [MISSING, EDITABLE]}), ""),
        (json.dumps({"dependencies": [EDITABLE]}), ""),
    ],
)
def test_audit_that_knows_nothing_says_so(audit, printed, complaint):
    """An index that answers without knowing anything makes pip-audit content."""
    code, said = audit(0 if printed.startswith("{") else 1, printed, complaint)
    assert code == 2
    assert said.startswith("NOT AUDITED: pip-audit could not reach its source")
    assert complaint in said


# The policy.


def test_policy_is_linked_and_comes_with_the_sources(tmp_path):
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "(SECURITY.md)" in (ROOT / page).read_text()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        assert any(name.endswith("/SECURITY.md") for name in files.getnames())


def test_policy_invents_no_address():
    policy = (ROOT / "SECURITY.md").read_text()
    assert "private report at the place where the project is hosted" in policy
    assert not re.search(r"@|https?://", policy)


# The pictures of the docs.


def test_pictures_are_there_in_light_and_dark():
    names = [picture.name for picture in runpy.run_path(str(ROOT / "scripts" / "pictures"))["PICTURES"]]
    expected = {f"{name}-{scheme}.png" for name in names for scheme in ("light", "dark")}
    assert {path.name for path in (ROOT / "docs" / "pictures").glob("*.png")} == expected
