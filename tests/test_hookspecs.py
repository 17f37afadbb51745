import inspect

import pluggy
import pytest

import resto
from resto import hookspecs


SPECIFICATIONS = ["resto_action_finished", "resto_register_executors", "resto_register_transports"]


def test_marker_is_exported():
    assert resto.hookimpl is hookspecs.hookimpl


def test_names_of_hooks():
    """A new hook comes with a test; a hook that is gone breaks the plugins that implement it."""
    assert [name for name in hookspecs.__all__ if name.startswith("resto_")] == SPECIFICATIONS


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_hook_is_a_documented_specification(name):
    manager = pluggy.PluginManager("resto")
    manager.add_hookspecs(hookspecs)
    assert getattr(manager.hook, name).has_spec()
    assert inspect.getdoc(getattr(hookspecs, name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("resto_action_finished", ["outcome"]), ("resto_register_executors", []), ("resto_register_transports", [])],
)
def test_arguments_of_hook(name, arguments):
    assert [*inspect.signature(getattr(hookspecs, name)).parameters] == arguments
