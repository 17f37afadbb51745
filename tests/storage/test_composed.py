"""Storages are composed when they are used, of what the options and settings say then."""

import gc
import threading
import weakref
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.hosts import MemoryTransport, make
from resto.exceptions import ConfigurationError
from resto.storage import DistributedStorage


def test_composition_is_made_once():
    storage = make()

    assert storage.transport is storage.transport
    assert storage.executor is storage.executor


@pytest.mark.parametrize(
    ("name", "value", "renewed"), [("RESTO_SECRETS", {}, True), ("MEDIA_URL", "/x/", True), ("DEBUG", True, False)]
)
def test_composition_is_made_again_when_a_setting_changes(settings, name, value, renewed):
    storage = make()
    transport = storage.transport

    setattr(settings, name, value)

    assert (storage.transport is not transport) is renewed


def test_storage_that_is_dropped_closes_its_connections(resto_server):
    """Nothing else does so when the setting STORAGES changes."""
    storage = DistributedStorage([resto_server.url], executor="inline")
    storage.exists("a")
    dropped = weakref.ref(storage)

    del storage
    gc.collect()  # an unclosed socket would be a warning

    assert dropped() is None


def test_storages_may_be_composed_by_several_threads_at_once():
    storage, barrier, found = make(), threading.Barrier(4), []

    def compose():
        barrier.wait()
        found.append(storage.transport)

    threads = [threading.Thread(target=compose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(isinstance(transport, MemoryTransport) for transport in found)


def test_transport_for_an_unknown_host_is_an_error():
    with pytest.raises(ValueError, match="'three' is not a host of this storage, which has one, two"):
        make().transport_for("three")


def test_literal_credentials_are_noticed():
    literal = {"url": "https://two.example.com/", "auth": ("user", "password")}

    assert not DistributedStorage(["one"]).has_literal_credentials()
    assert DistributedStorage(["one", literal]).has_literal_credentials()


def test_all_problems_are_told_at_once():
    storage = make(hosts=[], transport="missing", executor="missing", timeout=-1)

    assert len(storage.problems()) == 4


def test_good_options_have_no_problems():
    assert make().problems() == []


# Where files are served from.


PART = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]), min_size=1)
NAMES = st.lists(PART.filter(lambda part: part not in (".", "..")), min_size=1).map("/".join)


@given(NAMES, st.sampled_from(["/media", "/media/", "https://media.example.com/a/b", "//media.example.com/"]))
def test_file_is_served_below_the_base_url_whatever_its_name(name, base_url):
    storage = DistributedStorage(["one"], base_url)
    url = storage.url(name)
    assert storage.base_url == base_url.rstrip("/") + "/"
    assert url.isascii()
    assert unquote(url) == storage.base_url + name
    assert not {*url.removeprefix(storage.base_url)} & {*"?#; "}


@pytest.mark.parametrize("base_url", [5, PurePosixPath("/media"), ["/media/"]])
def test_base_url_that_is_no_string_makes_no_urls(base_url):
    with pytest.raises(ConfigurationError, match="base_url must be a string, not of type"):
        DistributedStorage(["one"], base_url).url("a")


def test_base_url_follows_the_setting_unless_it_is_given(settings):
    storages = DistributedStorage(["one"]), DistributedStorage(["one"], "/given")
    settings.MEDIA_URL = "/changed/"
    assert [storage.base_url for storage in storages] == ["/changed/", "/given/"]
