"""Whether a host takes two spellings of a name for one is tried, and leaves nothing there."""

import pytest

from resto.repair.spellings import shows_as_well, takes_cases_for_one, takes_forms_for_one
from resto.transports.webdav import WebDAVTransport


@pytest.fixture
def transport():
    transport = WebDAVTransport("http://media.example.com/")
    yield transport
    transport.close()


@pytest.mark.parametrize("folds", [{}, {"folds_case": True}, {"folds_forms": True}], ids=repr)
def test_what_a_host_takes_for_one_is_tried(transport, resto_server_factory, folds):
    server = resto_server_factory(**folds)
    assert takes_cases_for_one(transport, server.url) is ("folds_case" in folds)
    assert takes_forms_for_one(transport, server.url) is ("folds_forms" in folds)
    assert server.files == {}


def test_a_host_that_has_whatever_it_is_asked_for_shows_nothing(transport, resto_server_factory):
    server = resto_server_factory(folds_case=True)
    transport.create(server.url, "a", b"content")
    assert shows_as_well(transport, server.url, "A")
    server.override_code = 200
    assert not shows_as_well(transport, server.url, "A")
