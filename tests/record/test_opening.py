"""Where changes are recorded, and what is said where they cannot be."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import IntegrityError, connection
from django.utils.module_loading import import_string

from kit.record import open_lease, recorded
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
)
from resto.models import Pending
from resto.record import database


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


# Where it is.


@pytest.mark.django_db(transaction=True)
def test_missing_table_is_named_with_what_to_do():
    with connection.schema_editor() as editor:
        editor.delete_model(Pending)
    try:
        with pytest.raises(ConfigurationError, match=r"table of the record is missing.*manage.py migrate resto"):
            open_lease()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Pending)


def test_another_error_of_the_database_is_what_it_is():
    with pytest.raises(IntegrityError, match="name"):
        open_lease(None)


@pytest.mark.usefixtures("without_application")
def test_not_recorded_without_the_application():
    assert not database.is_active()


def test_not_recorded_without_a_database(monkeypatch, settings):
    """Such sites have the application for its checks."""
    assert database.is_active()
    monkeypatch.setattr(connection, "vendor", "unknown")
    settings.RESTO_DATABASE = "default"  # what was known is looked up again
    assert not database.is_active()


def test_storage_without_an_alias_is_not_recorded(resto_server_factory, media_root):
    from resto.storage import HybridStorage

    HybridStorage([resto_server_factory(webdav=False).url], "/media/").save("a", ContentFile(b""))
    assert recorded() == {}


def test_storage_that_a_task_makes_again_is_recorded(settings):
    """Wagtail deletes files so: what `deconstruct` says has been through JSON, which has no tuples."""
    options = {"hosts": ("media-1", {"url": "http://media-2/media/"}), "transport_options": {"headers": {"A": ("b",)}}}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    path, args, kwargs = json.loads(json.dumps(storages["default"].deconstruct()))
    assert import_string(path)(*args, **kwargs)._find_alias() == "default"
    kwargs["hosts"].reverse()
    assert import_string(path)(*args, **kwargs)._find_alias() is None


@pytest.fixture
def storage(settings, media_root, resto_server_factory):
    server = resto_server_factory(webdav=False)
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage"}}
    return storages["default"], server


def test_bare_action_is_recorded(storage):
    """Somebody calls `upload` by hand, or from a task queue of their own."""
    storage, server = storage
    storage.save("a", ContentFile(b"content"))
    server.refuse = True
    with pytest.raises(HostUnavailableError):
        storage.upload(server.url, "a")
    assert set(recorded()) == {server.url}
    server.refuse = False
    storage.upload(server.url, "a")
    assert Pending.objects.count() == 1  # of the failure, which a drain looks at
