"""The command that says which plugins are installed: with real packages, good and bad."""

import json
import sys

import pytest
from django.core.management import call_command

from resto import __version__


pytest_plugins = ["kit.packages"]

GOOD = """
    from resto import hookimpl
    from resto.executors.inline import InlineExecutor

    class EagerExecutor(InlineExecutor):
        pass

    @hookimpl
    def resto_register_transports():
        return {"ftp": "resto.transports.http.HttpTransport"}

    @hookimpl
    def resto_register_executors():
        return {"eager": EagerExecutor}

    @hookimpl
    def resto_action_finished(outcome):
        pass
"""


def offering(offers):
    return f"""
        from resto import hookimpl
        from resto.transports import Transport

        class HalfTransport(Transport):
            def open(self, host, name):
                pass

        @hookimpl
        def resto_register_transports():
            return {offers}
    """


# What is wrong with a package -> what is said of it.
BAD = [
    ("raise RuntimeError('not today')", "plugin resto_bad of resto-bad 1.0: broken: RuntimeError('not today')"),
    ("import resto_missing", "plugin resto_bad of resto-bad 1.0: broken: ModuleNotFoundError("),
    ("import sys; sys.exit(3)", "plugin resto_bad of resto-bad 1.0: broken: SystemExit(3)"),
    (offering("{}").replace("@hookimpl", ""), "broken: PluginValidationError('it offers nothing; is @resto.hookimpl missing?')"),
    ("import asyncio; raise asyncio.CancelledError", "plugin resto_bad of resto-bad 1.0: broken: CancelledError()"),
    (offering("['sftp']"), "plugin resto_bad of resto-bad 1.0: broken: TypeError('resto_register_transports returned list,"),
    (offering("{'sftp': 42}"), "broken: TypeError(\"resto_register_transports returned 42 for 'sftp', a class or its"),
    (offering("{'s.ftp': 'a.B'}"), "broken: ValueError(\"resto_register_transports returned the name 's.ftp'; one without dots"),
    (offering("1 / 0"), "plugin resto_bad of resto-bad 1.0: broken: ZeroDivisionError("),
    (offering("exit(3)"), "plugin resto_bad of resto-bad 1.0: broken: SystemExit(3)"),
    (
        offering("{'sftp': HalfTransport}"),
        "transport sftp of resto-bad 1.0: broken: the transport 'sftp' of resto_bad of resto-bad 1.0 lacks create, delete, ",
    ),
    (
        offering("{'sftp': 'missing.Transport'}"),
        "transport sftp of resto-bad 1.0: broken: the transport 'sftp' of resto_bad of resto-bad 1.0 cannot be imported",
    ),
    (
        offering("{'sftp': 'os.path.join'}"),
        "transport sftp of resto-bad 1.0: broken: the transport 'sftp' of resto_bad of resto-bad 1.0 is not a subclass",
    ),
    (
        offering("{'http': HalfTransport}"),
        "transport http of resto-bad 1.0: broken: the transport name 'http' is claimed by resto.transports and by resto_bad",
    ),
    (
        offering("{'ftp': HalfTransport}"),
        "transport ftp of resto-bad 1.0: broken: the transport name 'ftp' is claimed by resto_",
    ),
    (
        offering("{}").replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return {}", "yield"),
        "plugin resto_bad of resto-bad 1.0: broken: PluginValidationError(",
    ),
]  # fmt: skip


def run(capsys, *options):
    """Return the exit code, and what is printed."""
    try:
        call_command("resto_plugins", *options)
    except SystemExit as error:
        return error.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_installed_plugins(install, capsys):
    install("resto-good", GOOD)
    code, printed = run(capsys)
    assert code == 0
    lines = printed.splitlines()
    assert f"transport http of django-resto-storage {__version__}: resto.transports.http.HttpTransport" in lines
    assert lines[3:4] == ["transport ftp of resto-good 1.0: resto.transports.http.HttpTransport"]
    assert lines[-2:] == [
        "executor eager of resto-good 1.0: resto_good.EagerExecutor",
        "observer resto_action_finished of resto-good 1.0: resto_good.resto_action_finished",
    ]


def test_json(install, capsys):
    install("resto-good", GOOD)
    code, printed = run(capsys, "--json")
    assert code == 0
    assert json.loads(printed)[-1] == {
        "kind": "observer", "name": "resto_action_finished", "path": "resto_good.resto_action_finished",
        "distribution": "resto-good", "version": "1.0", "state": "usable", "problem": "",
    }  # fmt: skip


def test_bundled_executor_whose_package_is_missing_is_no_failure(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rq", None)
    monkeypatch.delitem(sys.modules, "resto.executors.rq", raising=False)
    code, printed = run(capsys)
    assert code == 0
    (line,) = [line for line in printed.splitlines() if line.startswith("executor rq")]
    assert "not installed: the executor 'rq' of resto.executors cannot be imported" in line
    assert "pip install 'rq>=3.0'" in line


@pytest.mark.parametrize(
    ("source", "state", "code"),
    [
        ("import resto_missing", "not installed", 0),
        ("from resto_missing.ftp import FTP", "not installed", 0),
        ("import resto_needy_ftp.gone", "broken", 1),
        ("import json.gone", "broken", 1),
        ("raise ImportError('no resto_missing')", "broken", 1),
        ("raise ModuleNotFoundError", "broken", 1),
    ],
)
def test_plugin_whose_package_is_missing_is_no_failure(install, tmp_path, capsys, source, state, code):
    """As long as it is another package than the plugin's own, of which nothing is there."""
    install("resto-needy", offering("{'sftp': 'resto_needy_ftp.Transport'}"))
    (tmp_path / "resto_needy_ftp.py").write_text(source)
    found, printed = run(capsys)
    (line,) = [line for line in printed.splitlines() if line.startswith("transport sftp")]
    assert found == code
    assert f"1.0: {state}: the transport 'sftp' of resto_needy of resto-needy 1.0 cannot be imported" in line
    assert ("Install the module 'resto_missing' that it needs" in line) is (code == 0)


@pytest.mark.parametrize(("source", "expected"), BAD)
def test_package_that_is_broken_is_named_and_hurts_nobody_else(install, capsys, source, expected):
    install("resto-good", GOOD)
    install("resto-bad", source)
    code, printed = run(capsys)
    assert code == 1
    assert expected in printed
    assert "executor eager of resto-good 1.0: resto_good.EagerExecutor\n" in printed
    assert "observer resto_action_finished of resto-good 1.0" in printed
    assert "transport http of django-resto-storage" in printed
