"""Packages with plugins, installed for the time of one test."""

import importlib
import sys
import textwrap

import pytest

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
