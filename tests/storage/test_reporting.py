"""What the log says of actions on hosts."""

import logging
from contextlib import closing

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.hosts import MemoryTransport, make
from resto.exceptions import (
    TransportError,
)
from resto.health import FIRST_PAUSE, MAX_FAILURES
from resto.outcomes import Outcome
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage, reporting
from resto.storage.files import SharedContent


def messages(caplog):
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda storage: storage.save("a", ContentFile(b"")), "Failed to upload a on bad. Something went wrong."),
        (lambda storage: storage.delete("a"), "Failed to delete a on bad. Something went wrong."),
    ],
)
@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage, DistributedStorage])
def test_failed_write_is_logged(storage_class, media_root, caplog, act, message):
    media_root.mkdir()
    act(make(["bad", "one"], storage_class, fatal_exceptions=False))

    assert ("resto", "ERROR", message) in messages(caplog)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("download", "Failed to download a from bad. It broke."),
        ("exists", "Failed to check if a exists on bad. It broke."),
        ("size", "Failed to get the size of a from bad. It broke."),
        ("listdir", "Failed to list a on bad. It broke."),
        ("modified_time", "Failed to get the modification time of a from bad. It broke."),
        ("polish", "Failed to polish a on bad. It broke."),
    ],
)
def test_failure_of_each_action_has_its_message(caplog, action, message):
    make().report(Outcome(action, "bad", "a", 0.1, error=TransportError("bad", "a", action, "it broke")))

    assert messages(caplog) == [("resto", "ERROR", message)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("it broke"), "ValueError: it broke."), (ValueError(), "ValueError."), (OSError(), "OSError.")],
)
def test_failure_of_any_kind_has_a_reason(caplog, error, reason):
    make().report(Outcome("upload", "bad", "a", 0.1, error=error))

    assert messages(caplog) == [("resto", "ERROR", f"Failed to upload a on bad. {reason}")]


@pytest.mark.parametrize("show", [True, False])
def test_traceback_is_shown_on_demand(caplog, settings, show):
    settings.RESTO_SHOW_TRACEBACK = show

    make(["bad", "one"]).exists("a")

    assert ("Traceback (most recent call last)" in caplog.text) is show


def test_success_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG, "resto")

    make().save("a", ContentFile(b""))

    assert caplog.records == []


def test_put_on_an_existing_file_is_logged(caplog):
    storage = make()
    storage.save("a", ContentFile(b""))

    with closing(SharedContent(ContentFile(b""))) as content:
        storage.execute(storage.upload, "a", content)

    assert messages(caplog) == [("resto", "WARNING", f"PUT on existing file a on {host}.") for host in ("one", "two")]


@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage, DistributedStorage])
def test_delete_of_a_missing_file_is_logged(storage_class, media_root, caplog):
    media_root.mkdir()

    make(storage_class=storage_class).delete("a")

    assert messages(caplog) == [("resto", "WARNING", f"DELETE on missing file a on {host}.") for host in ("one", "two")]


def test_interruption_is_logged_for_each_host(caplog, monkeypatch):
    """Nobody can say what the hosts have got, and there is no outcome that would be logged."""
    storage = make()
    monkeypatch.setattr(storage.executor, "run", fail_with_interruption)

    def upload(host, name):
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        storage.execute(upload, "a")

    problem = "It was interrupted, and perhaps not carried out."
    assert [text for _, _, text in messages(caplog)] == [
        f"Failed to upload a on {host}. {problem}" for host in ("one", "two")
    ]


def fail_with_interruption(jobs):
    raise KeyboardInterrupt


def test_sentence_in_the_log_ends_once(caplog):
    make().report(Outcome("upload", "one", "a", 0.1, error=TransportError("one", "a", "upload", "is it on?")))

    assert messages(caplog) == [("resto", "ERROR", "Failed to upload a on one. Is it on?")]


def test_host_in_front_of_a_problem_is_not_capitalized(caplog):
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    error = TransportError("good-1", "a", "repair", "http://media-1/ would know what it should have: refused")
    storage.report(Outcome("repair", "good-1", "a", 0.1, error=error))
    assert "Failed to repair a on good-1. http://media-1/ would know what it should have: refused." in caplog.text


# A host that is down.


@pytest.fixture
def hybrid(settings, media_root, resto_server):
    resto_server.refuse = True
    options = {"hosts": [resto_server.url], "fatal_exceptions": False, "timeout": 5}
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    return storages["default"]


@pytest.mark.django_db
def test_host_that_is_down_is_logged_once_for_each_pause(hybrid, caplog, breaker_clock):
    for number in range(50):
        hybrid.save(f"{number}", ContentFile(b""))
    assert len(messages(caplog)) == MAX_FAILURES
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE):
        caplog.clear()
        breaker_clock.pass_(pause)
        for number in range(50):
            hybrid.save(f"{number}", ContentFile(b""))
        [(_, level, text)] = messages(caplog)
        assert (level, text.partition(". ")[2]) == ("ERROR", "Connection refused.")


@pytest.mark.django_db
def test_comparison_with_a_host_that_is_down(hybrid, resto_server, caplog, media_root):
    resto_server.refuse = False
    hybrid.save("first", ContentFile(b""))
    for number in range(100):
        (media_root / f"{number}").touch()
    resto_server.on_request = lambda method, path: setattr(resto_server, "drop_answer", method == "PUT")
    synchronize(hybrid, SyncOptions(), lambda event: None)
    assert 1 <= len(messages(caplog)) <= MAX_FAILURES


def test_each_change_is_logged_that_nothing_records(resto_server, media_root, caplog, breaker_clock):
    """The line is the only trace of it."""
    media_root.mkdir()
    resto_server.refuse = True
    storage = HybridStorage([resto_server.url], fatal_exceptions=False)
    for number in range(5):
        storage.save(f"{number}", ContentFile(b""))
    assert [text.split()[3] for _, _, text in messages(caplog)] == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("without_application")
def test_site_without_the_application_is_told_once(media_root, caplog, monkeypatch):
    """There are no checks then."""
    monkeypatch.setattr(reporting, "_said", [])
    media_root.mkdir()
    for name in "ab":
        make(["bad", "one"], HybridStorage, fatal_exceptions=False).save(name, ContentFile(b""))
    told = [text for _, level, text in messages(caplog) if level == "WARNING"]
    assert told == ["What hosts miss is not recorded, and nothing sends it later: 'resto' is not in INSTALLED_APPS."]
