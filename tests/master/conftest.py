"""A master copy in an empty directory."""

import errno
import os
import time

import pytest

from kit.disk import fail_with
from resto.master.copy import MasterCopy


@pytest.fixture
def master(media_root):
    return MasterCopy()


@pytest.fixture
def umask():
    """The umask that most servers run with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def later(monkeypatch):
    """Set the clock forward, by seconds."""
    now = time.time
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: now() + seconds)


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def links(request, monkeypatch):
    """Whether the file system has hard links."""
    if not request.param:
        monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    return request.param
