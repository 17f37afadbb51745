import io
from datetime import UTC, datetime

import pytest

from resto.courses import course_of, finish
from resto.exceptions import TransportError
from resto.transports import resto_register_transports
from resto.transports.base import Entry, Transport


class Minimal(Transport):
    """The least that is a transport."""

    def open(self, host, name):
        self.stream = io.BytesIO(b"content")
        return self.stream

    def exists(self, host, name):
        return True

    def size(self, host, name):
        return 7

    def create(self, host, name, content):
        return False

    def delete(self, host, name):
        return True


@pytest.fixture
def minimal():
    return Minimal("/media/")


def test_a_transport_must_implement_the_contract():
    with pytest.raises(TypeError, match="abstract"):
        Transport("/media/")


def test_content_is_read_from_the_stream_and_closes_it(minimal):
    assert minimal.content("host", "name") == b"content"
    assert minimal.stream.closed


def test_capabilities_are_off_unless_declared(minimal):
    flags = ("supports_listdir", "supports_modified_time", "supports_scan", "has_literal_credentials")
    assert not any(getattr(minimal, flag) for flag in flags)


@pytest.mark.parametrize("method", ["listdir", "modified_time", "scan"])
def test_what_a_transport_cannot_do_is_an_error(minimal, method):
    with pytest.raises(TransportError, match="Minimal cannot do this") as info:
        getattr(minimal, method)("host", "name")
    assert (info.value.host, info.value.name, info.value.action) == ("host", "name", method)


def test_methods_may_take_their_time_by_default(minimal):
    course = course_of(minimal.size, "host", "name")
    assert next(course) is None
    assert finish(course) == 7


def test_what_a_transport_need_not_know(minimal):
    assert minimal.without_credentials() is None
    assert not minimal.exposes_credentials("host")
    assert minimal.remove_directory("host", ".resto-1") is False


def test_hosts_are_identified_by_what_they_are_called(minimal):
    assert minimal.identify("host") == "host"
    assert minimal.public_url("host") is None


def test_a_transport_that_holds_nothing_can_be_closed(minimal):
    minimal.close()
    assert minimal.exists("host", "name")


def test_the_defaults_of_a_transport(minimal):
    assert (minimal.base_url, minimal.timeout) == ("/media/", 2)


def test_entries_are_values():
    entry = Entry("a", 1, datetime(2026, 1, 1, tzinfo=UTC), '"1"')
    assert entry == Entry("a", 1, datetime(2026, 1, 1, tzinfo=UTC), '"1"')
    with pytest.raises(AttributeError):
        entry.size = 2


def test_the_bundled_transports_are_offered():
    assert sorted(resto_register_transports()) == ["directory", "http", "webdav"]


class Listing(Minimal):
    supports_listdir = True

    def listdir(self, host, name):
        return ["d", "d\ne"], ["f", ".resto-1"]


def test_what_is_listed_can_be_browsed():
    found = Listing("/media/").browse("media-1", "")
    assert (found.directories, found.files) == ({"d"}, {"f": None})
    assert found.others.keys() == {"d\ne", ".resto-1"}


def test_a_transport_need_not_list():
    assert Minimal("/media/").browse("media-1", "") is None
