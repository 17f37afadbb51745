import subprocess
import sys

import pytest

import resto.testing
from resto.testing.server import TestHttpServer


def test_exports():
    assert resto.testing.__all__ == ["ExecutorContract", "QueueExecutorContract", "TestHttpServer", "TransportContract"]
    assert resto.testing.TestHttpServer is TestHttpServer


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        resto.testing.missing  # noqa: B018


def loaded_by(module):
    code = f"import sys, {module}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_server_needs_no_django():
    assert "django" not in loaded_by("resto.testing.server")


def test_plugin_is_cheap():
    loaded = loaded_by("resto.testing.plugin")
    assert "django" not in loaded
    assert "resto.testing.server" not in loaded
