"""What is published: complete, the same bytes each time, and usable where nothing else of the project is."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile

import pytest
import yaml

from kit.documents import ROOT


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = ROOT / ".github" / "workflows"

SAVE = """
import tempfile
from django.conf import settings
from django.core.files.base import ContentFile
settings.configure(MEDIA_URL="/media/", MEDIA_ROOT=tempfile.mkdtemp())
import resto
from resto.storage import HybridStorage
from resto.testing import TestHttpServer
with TestHttpServer() as server:
    HybridStorage([server.url]).save("a.txt", ContentFile(b"data"))
    print(server.files, resto.__file__)
"""


def build(directory):
    command = [sys.executable, "-m", "hatchling", "build", "-d", directory]
    subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    )
    return sorted(directory.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("built"))


@pytest.mark.long
def test_two_builds_are_the_same_bytes(built, tmp_path):
    again = build(tmp_path)
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_nothing_is_published_that_git_does_not_know(built):
    """But what describes the package. All that tests and documentation need is there."""
    wheel, sdist = built[0], built[1]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    known = set(listed.stdout.splitlines())
    with tarfile.open(sdist) as archive:
        published = {name.split("/", 1)[1] for name in archive.getnames()}
    assert published - known == {"PKG-INFO"}
    assert known - published == set()
    with zipfile.ZipFile(wheel) as archive:
        installed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert installed == {name for name in known if name.startswith("resto/")}


@pytest.mark.long  # test_plugins_example.py tests the wheel all the time
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_installed_saves(built, tmp_path, kind):
    """In an environment that has nothing else but what it depends on."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    python = venv / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", built[kind == "sdist"]]
    subprocess.run([*install, *options], check=True, capture_output=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHON", "DJANGO"))}
    done = subprocess.run([python, "-c", SAVE], cwd=tmp_path, env=kept, capture_output=True, text=True)
    assert done.stdout.startswith("{'a.txt': b'data'}"), done.stderr
    assert str(venv) in done.stdout


def matrix(workflow):
    found = yaml.safe_load((WORKFLOWS / workflow).read_text())["jobs"]["tests"]["strategy"]["matrix"]
    return found["python"], found["django"]


def test_versions_are_the_same_everywhere():
    """Of Python and Django: what each change is tested with, and a release; the package promises no others."""
    tested = matrix("ci.yml")
    assert matrix("release.yml") == tested
    nox = (ROOT / "noxfile.py").read_text()
    assert tested == tuple(
        re.findall(r"\"(.*?)\"", line) for line in re.findall(r"^(?:PYTHONS|DJANGOS) = (.*)", nox, re.M)
    )
    promised = "\n".join(PROJECT["classifiers"])
    for what, versions in zip(("Python", "Django"), tested, strict=True):
        assert set(re.findall(rf"{what} :: (\d+\.\d+)$", promised, re.M)) <= set(versions)
