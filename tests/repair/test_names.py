"""What each host has of a file, and the master copy."""

import os

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.exceptions import TransportError
from resto.repair.names import Copy, FileStatus, file_status
from resto.transports.http import HttpTransport


pytestmark = pytest.mark.django_db


@pytest.fixture
def servers(resto_server_factory, settings, media_root):
    servers = [resto_server_factory(webdav=False) for _ in range(2)]
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    return servers


def test_file_that_is_equal_everywhere(servers):
    storages["default"].save("a", ContentFile(b"123"))
    status = file_status("default", "a")
    assert status.agrees
    assert [copy.size for copy in status.copies] == [3, 3, 3]
    assert all(copy.modified.tzinfo is not None for copy in status.copies)
    assert file_status("default", "b").agrees  # nobody has it


def test_what_is_no_file_has_no_size(servers, media_root):
    storages["default"].save("album/photo.jpg", ContentFile(b"123"))
    os.mkfifo(media_root / "pipe")
    assert file_status("default", "album").master == Copy("", problem="it has a directory of this name")
    assert file_status("default", "pipe").master == Copy("", problem="it has no plain file of this name")


class TimelessTransport(HttpTransport):
    supports_modified_time = False


class ForgetfulTransport(HttpTransport):
    def modified_time(self, host, name):
        raise TransportError(host, name, "modified_time", "it says none")


@pytest.mark.parametrize("transport", [TimelessTransport, ForgetfulTransport])
def test_hosts_that_say_no_time(servers, settings, transport):
    settings.RESTO_TRANSPORT = transport
    storages["default"].save("a", ContentFile(b"123"))
    assert [(copy.size, copy.modified, copy.problem) for copy in file_status("default", "a").hosts] == [
        (3, None, "")
    ] * 2


def test_host_that_lags(servers):
    servers[1].refuse = True
    storages["default"].save("a", ContentFile(b"123"))
    servers[1].refuse = False
    status = file_status("default", "a")
    assert not status.agrees
    assert [(copy.size, len(copy.pending)) for copy in status.hosts] == [(3, 0), (None, 1)]
    assert status.hosts[1].pending[0].error == "connection refused"


@pytest.mark.parametrize(
    ("copies", "agrees"),
    [
        ([Copy("one", size=1), Copy("two", size=1)], True),
        ([Copy("one", size=1), Copy("two", size=2)], False),
        ([Copy("one", size=1), Copy("two")], False),
        ([Copy("one"), Copy("two", problem="no answer")], False),
        ([], True),
    ],
)
def test_copies_agree(copies, agrees):
    assert FileStatus("default", "a", None, tuple(copies), is_recorded=True).agrees is agrees
    assert FileStatus("default", "a", Copy("", size=1), tuple(copies), is_recorded=True).agrees is (
        agrees and all(copy.size == 1 for copy in copies)
    )
