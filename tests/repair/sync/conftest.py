"""Servers and storages that are compared."""

import logging

import pytest

from resto.storage import HybridStorage


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory()


@pytest.fixture
def plain_server(resto_server_factory):
    return resto_server_factory(webdav=False)


@pytest.fixture
def make(media_root):
    media_root.mkdir()
    return lambda *servers, **options: HybridStorage(
        [server.url for server in servers], "/media/", transport=options.pop("transport", "webdav"), **options
    )


@pytest.fixture(autouse=True)
def _quiet(caplog, monkeypatch):
    """Log nothing, and tell each step."""
    monkeypatch.setattr("resto.progress.INTERVAL", 0)
    caplog.set_level(logging.CRITICAL + 1, logger="resto")
