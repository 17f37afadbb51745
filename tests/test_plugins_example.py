"""The example of a package with plugins: its own tests, on the built wheels of resto and of it, in a clean environment."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kit.documents import ROOT


EXAMPLE = ROOT / "plugins_example"


PARTS_OF_PAGES = {".html", ".css", ".js"}


def run(*command, **options):
    """Run a program that must succeed; return what it prints."""
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a person who works in a new virtual environment with both wheels."""
    directory = tmp_path_factory.mktemp("example")
    wheels, venv = directory / "wheels", directory / "venv"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT, EXAMPLE)
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", *wheels.glob("*.whl"))
    # What both depend on is not installed again, but found where the tests run. A line of a .pth file does not make those
    # of that directory count, such as that of an editable resto.
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "COV_", "PYTEST", "PYTHON", "DJANGO"))
    }
    return kept | {"PATH": f"{python.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_wheels_are_what_is_tested(environment, tmp_path):
    program = (
        "import json, resto, resto_example_plugins as example; print(json.dumps([resto.__file__, example.__file__]))"
    )
    for path in json.loads(run("python", "-c", program, env=environment, cwd=tmp_path)):
        assert "/venv/lib/" in path


def test_wheel_has_what_pages_are_made_of(environment, tmp_path):
    program = "import resto; print(resto.__path__[0])"
    installed = Path(run("python", "-c", program, env=environment, cwd=tmp_path).strip())
    parts = [path.relative_to(ROOT / "resto") for path in (ROOT / "resto").rglob("*") if path.suffix in PARTS_OF_PAGES]
    assert parts
    assert [part for part in parts if not (installed / part).is_file()] == []


def test_plugins_are_found(environment, tmp_path):
    """All that the package offers can be used, and comes from it."""
    (tmp_path / "example_site.py").write_text('INSTALLED_APPS = ["resto", "huey.contrib.djhuey"]\n')
    environment = environment | {"DJANGO_SETTINGS_MODULE": "example_site", "PYTHONPATH": str(tmp_path)}
    installed = json.loads(run("python", "-m", "django", "resto_plugins", "--json", env=environment, cwd=tmp_path))
    found = [
        (one["kind"], one["name"], one["version"], one["state"])
        for one in installed
        if one["distribution"] == "resto-example-plugins"
    ]
    assert found == [
        ("transport", "storage", "0.1.0", "usable"),
        ("executor", "huey", "0.1.0", "usable"),
        ("observer", "resto_action_finished", "0.1.0", "usable"),
        ("observer", "resto_host_pending", "0.1.0", "usable"),
    ]


LACKING = """
from importlib.metadata import distribution
from packaging.requirements import Requirement

for wheel in ("django-resto-storage", "resto-example-plugins"):
    needed = [Requirement(line) for line in distribution(wheel).requires]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert needed
    for one in needed:
        assert one.specifier.contains(distribution(one.name).version, prereleases=True), one
"""


def test_dependencies_are_declared(environment, tmp_path):
    """What both wheels say they need is there, in versions that fit."""
    run("python", "-c", LACKING, env=environment, cwd=tmp_path)


def test_its_own_tests_pass(environment, tmp_path):
    run(
        "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--assert=plain",  # else it compiles all of resto anew
        "-c",
        EXAMPLE / "pyproject.toml",
        "--rootdir",
        EXAMPLE,
        EXAMPLE / "tests",
        env=environment,
        cwd=tmp_path,
    )
