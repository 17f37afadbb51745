import subprocess
import sys

import pytest

import resto.testing
from resto.testing.server import TestHttpServer


def test_exports():
    assert resto.testing.__all__ == [
        "ExecutorContract",
        "QueueExecutorContract",
        "TestHttpServer",
        "ThrowawayHosts",
        "ThrowawayHostsMixin",
        "TransportContract",
    ]
    assert resto.testing.TestHttpServer is TestHttpServer


@pytest.mark.parametrize("missing", ["hypothesis", "pytest"])
def test_all_names_are_those_that_are_installed(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from resto.testing import *; print(*dir())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names = {name for name in done.stdout.split() if name[0].isupper()}
    assert names == {"TestHttpServer", "ThrowawayHosts", "ThrowawayHostsMixin"}


def test_all_names_can_be_taken():
    names = {}
    exec("from resto.testing import *", names)
    assert names.keys() >= {*resto.testing.__all__}


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        resto.testing.missing  # noqa: B018


@pytest.mark.parametrize("missing", ["hypothesis", "pytest"])
@pytest.mark.parametrize("name", ["ExecutorContract", "QueueExecutorContract", "TransportContract"])
def test_contracts_say_what_they_need(monkeypatch, name, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    for module in [*sys.modules]:
        if module.startswith(("resto.testing.executor_contract", "resto.testing.transport_contract")):
            monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ModuleNotFoundError, match=rf"{name} needs {missing}: pip install {missing}$"):
        getattr(resto.testing, name)


def test_other_failures_to_import_are_what_they_are(monkeypatch):
    monkeypatch.setitem(sys.modules, "resto.testing.server", None)
    with pytest.raises(ModuleNotFoundError, match=r"resto\.testing\.server"):
        resto.testing.TestHttpServer  # noqa: B018


@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        ("ExecutorContract", "executor"),
        ("QueueExecutorContract", "executor_and_messages"),
        ("TransportContract", "transport_and_host"),
    ],
)
def test_fixture_that_was_forgotten_is_an_error(pytester, name, fixture):
    """And no test that is skipped, or passes."""
    pytester.makepyfile(f"from resto.testing import {name}\n\nclass TestMine({name}):\n    pass\n")
    off = [f"-pno:{plugin}" for plugin in ("cacheprovider", "django", "faulthandler", "timeout", "xdist")]
    result = pytester.runpytest_inprocess("-c/dev/null", "--tb=line", *off)
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] >= 5
    assert "passed" not in outcomes
    result.stdout.fnmatch_lines([f"*NotImplementedError: TestMine must override the fixture '{fixture}'*"])


def test_contracts_are_cheap_until_they_are_used():
    loaded = loaded_by("resto.testing")
    assert "hypothesis" not in loaded
    assert "pytest" not in loaded


def loaded_by(module):
    code = f"import sys, {module}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_server_needs_no_django():
    assert "django" not in loaded_by("resto.testing.server")


def test_plugin_is_cheap():
    loaded = loaded_by("resto.testing.plugin")
    assert "django" not in loaded
    assert "resto.testing.server" not in loaded
    assert "resto.testing.throwaway" not in loaded
