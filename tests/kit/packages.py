"""Packages with plugins, installed for the time of one test."""

import importlib
import sys
import textwrap
import tomllib

import pytest

from kit.documents import ROOT
from resto.plugins import get_plugin_manager


@pytest.fixture
def write_package():
    """Write what `pip install` leaves behind: a module, and the metadata with its entry point."""

    def write(directory, name, source):
        module = name.replace("-", "_")
        (directory / f"{module}.py").write_text(textwrap.dedent(source))
        metadata = directory / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[resto]\n{module} = {module}\n")
        return module

    return write


@pytest.fixture
def install(tmp_path, monkeypatch, write_package):
    """Install a package with a plugin: its name, and the source of its module."""
    modules = []
    monkeypatch.syspath_prepend(tmp_path)

    def install_package(name, source):
        modules.append(write_package(tmp_path, name, source))
        importlib.invalidate_caches()
        get_plugin_manager.cache_clear()

    yield install_package
    get_plugin_manager.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def example_package(tmp_path_factory, monkeypatch):
    """The package of plugins_example, as if it were installed, here and in the processes of a test."""
    project = tomllib.loads((ROOT / "plugins_example" / "pyproject.toml").read_text())["project"]
    directory = tmp_path_factory.mktemp("installed")
    metadata = directory / f"resto_example_plugins-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [f"{name} = {module}\n" for name, module in project["entry-points"]["resto"].items()]
    (metadata / "entry_points.txt").write_text(f"[resto]\n{''.join(points)}")
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setenv("PYTHONPATH", f"{directory}:{ROOT / 'plugins_example'}")
    get_plugin_manager.cache_clear()
    yield
    get_plugin_manager.cache_clear()
