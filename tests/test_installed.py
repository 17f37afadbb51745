"""What installed packages offer. That it is told of good and bad ones is tested with the command that prints it."""

from importlib.metadata import EntryPoint

import pytest

from resto.installed import conflicts, installed_plugins
from resto.plugins import PluginManager, get_plugin_manager


pytest_plugins = ["kit.packages"]


def offering_transport(name, options=""):
    return f"""
        from resto import hookimpl

        @hookimpl{options}
        def resto_register_transports():
            return {{"{name}": "resto.transports.webdav.WebDAVTransport"}}
    """


@pytest.mark.parametrize("options", ["", "(tryfirst=True)", "(trylast=True)"])
def test_name_of_a_bundled_one_is_in_conflict(install, options):
    install("resto-greedy", offering_transport("http", options))
    [conflict] = conflicts(get_plugin_manager())
    assert (
        conflict == "the transport name 'http' is claimed by resto.transports and by resto_greedy of resto-greedy 1.0"
    )


def test_executor_and_transport_of_one_name_are_not_in_conflict(install):
    install("resto-one", offering_transport("thread"))
    assert conflicts(get_plugin_manager()) == []


def test_plugin_of_no_distribution():
    """An entry point need not belong to a distribution."""
    manager = PluginManager((EntryPoint("lost", "resto_lost", "resto"),))
    (lost,) = [one for one in installed_plugins(manager) if one.kind == "plugin"]
    assert (lost.name, lost.distribution, lost.version) == ("resto_lost", "", "")
