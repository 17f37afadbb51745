"""A site with the admin, two real hosts, and people who may do more or less."""

import contextlib
import sqlite3

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.urls import path

from kit import albums
from kit.brokers import default_database
from resto.page import looks
from resto.record import database as record_database


@pytest.fixture(autouse=True)
def database(db, tmp_path, monkeypatch):
    """A database in a file, as pages use several threads: a copy of the empty one of the tests."""
    monkeypatch.setattr(record_database, "_last", None)  # that of another test
    path = tmp_path / "db.sqlite3"
    connection.ensure_connection()
    with contextlib.closing(sqlite3.connect(path)) as file:
        connection.connection.backup(file)
        file.execute("PRAGMA journal_mode=WAL")
    with default_database({"ENGINE": "django.db.backends.sqlite3", "NAME": path}):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    looks.forget()
    yield
    looks.forget()


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def site(settings, servers, media_root):
    """The storage of a site whose admin is Django's own."""
    albums.set_up(settings, "Hybrid", [server.url for server in servers])
    settings.ROOT_URLCONF = (path("admin/", admin.site.urls),)
    options = {"transport": "webdav", "fatal_exceptions": False}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    ContentType.objects.clear_cache()
    return storages["default"]


@pytest.fixture
def miss(site):
    """A function: a host misses files."""

    def miss(server, *names):
        server.refuse = True
        for name in names:
            site.save(name, ContentFile(name.encode()))
        server.refuse = False

    return miss


@pytest.fixture
def user_with(site):
    """A function: permissions of resto -> somebody of the staff who has these."""

    def user_with(*codes):
        user = User.objects.create_user("-".join(codes) or "nobody", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="resto", codename__in=codes))
        return user

    return user_with


@pytest.fixture
def operator(site, client):
    """A client of somebody who may do everything."""
    client.force_login(User.objects.create_superuser("ann"))
    return client
