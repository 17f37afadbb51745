"""Options of storages, and what is wrong with them."""

import pytest
from django.core.files.base import ContentFile

from kit.hosts import MemoryTransport, SubmitOnlyExecutor, make
from resto.exceptions import (
    ConfigurationError,
)
from resto.executors.inline import InlineExecutor
from resto.executors.thread import ThreadExecutor
from resto.settings import DEFAULTS
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage, StorageOptions
from resto.transports.http import HttpTransport


# Options.


@pytest.mark.parametrize(
    ("option", "value", "other", "read"),
    [
        ("fatal_exceptions", False, True, lambda storage: storage.fatal_exceptions),
        ("show_traceback", True, False, lambda storage: storage.show_traceback),
        ("timeout", 7, 8, lambda storage: storage.transport.timeout),
        ("transport", HttpTransport, MemoryTransport, lambda storage: type(storage.transport)),
        ("transport_options", {"auth": None}, {"auth": {}}, lambda storage: {"auth": literal_auth(storage)}),
        ("executor", InlineExecutor, ThreadExecutor, lambda storage: type(storage.executor)),
    ],
)
def test_option_comes_before_its_setting(settings, option, value, other, read):
    setattr(settings, f"RESTO_{option.upper()}", other)

    assert read(DistributedStorage(["one"])) == other
    assert read(DistributedStorage(["one"], **{option: value})) == value


def literal_auth(storage):
    return {} if storage.has_literal_credentials() else None


def test_every_option_has_a_setting():
    assert {option.upper() for option in StorageOptions.__annotations__} < set(DEFAULTS)


def test_none_falls_back_to_the_setting(settings):
    settings.RESTO_TIMEOUT = 9

    assert make(timeout=None).transport.timeout == 9


def test_hosts_fall_back_to_the_setting(settings):
    storage = DistributedStorage(transport=MemoryTransport)
    settings.RESTO_MEDIA_HOSTS = ["one", {"url": "two", "color": "blue"}]

    assert storage.hosts == ("one", "two")
    settings.RESTO_MEDIA_HOSTS = ["three"]
    assert storage.hosts == ("three",)


def test_host_has_options_of_its_own(settings):
    settings.RESTO_TIMEOUT = 9
    storage = make(["one", {"url": "two", "color": "blue", "timeout": 5}], transport_options={"color": "green"})

    assert [storage.transport_for(host).color for host in storage.hosts] == ["green", "blue"]
    assert [storage.transport_for(host).timeout for host in storage.hosts] == [9, 5]
    assert storage.transport_for("one") is storage.transport


@pytest.mark.usefixtures("default_timeout")
def test_defaults():
    storage = DistributedStorage(["one"])

    assert (type(storage.transport), type(storage.executor)) == (HttpTransport, ThreadExecutor)
    assert (storage.fatal_exceptions, storage.show_traceback, storage.transport.timeout) == (True, False, 2)


# What is wrong with them.


BAD_OPTIONS = [
    ({"hosts": []}, "no hosts"),
    ({"hosts": "one"}, "hosts must be a list"),
    ({"hosts": ["one", "one"]}, "hosts 'one' and 'one' are the same"),
    ({"timeout": 0}, "the timeout must be a positive number, not 0"),
    ({"hosts": [{"url": "one", "timeout": "long"}]}, "the timeout must be a positive number, not 'long'"),
    ({"transport": "missing"}, "missing"),
    ({"executor": "missing"}, "missing"),
    ({"transport_options": []}, "transport_options must be a mapping, not list"),
    ({"executor_options": []}, "executor_options must be a mapping, not list"),
    ({"transport_options": {"colour": "red"}}, "wrong transport_options: .*colour"),
    ({"executor_options": {"threads": 3}}, "wrong executor_options: "),
    ({"transport_options": {"broken": True}}, "it is broken"),
    ({"executor": SubmitOnlyExecutor}, "DistributedStorage waits for its hosts, which SubmitOnlyExecutor cannot do"),
]


@pytest.mark.parametrize(("options", "problem"), BAD_OPTIONS)
def test_bad_option_is_found_without_sending_anything(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        make(**options).save("a", ContentFile(b""))
    assert [type(found) for found in make(**options).problems()] == [ConfigurationError]


@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage])
@pytest.mark.parametrize(
    "act",
    [
        lambda storage: storage.save("a", ContentFile(b"new")),
        lambda storage: storage.delete("old"),
        lambda storage: storage.open("old", "ab"),
    ],
    ids=["save", "delete", "open"],
)
def test_bad_option_is_found_before_the_master_copy_changes(storage_class, media_root, act):
    media_root.mkdir()
    (media_root / "old").write_bytes(b"old")

    with pytest.raises(ConfigurationError):
        act(make(transport="missing", storage_class=storage_class))
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"old": b"old"}


def test_async_storage_takes_an_executor_that_only_submits():
    assert make(executor=SubmitOnlyExecutor, storage_class=AsyncStorage).problems() == []
