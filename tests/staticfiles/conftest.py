"""Static files of a site, as its developers write them, and where they are published."""

import pytest
from django.contrib.staticfiles.finders import get_finder
from django.contrib.staticfiles.storage import staticfiles_storage
from django.utils.functional import empty


MANIFEST, PLAIN = (f"resto.staticfiles.{name}StaticFilesStorage" for name in ("Manifest", ""))


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def sources(tmp_path, settings):
    """What developers write."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "resto.staticfiles", "django.contrib.staticfiles"]
    folder = tmp_path / "assets"
    folder.mkdir()
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]  # without the admin's
    get_finder.cache_clear()
    yield folder
    get_finder.cache_clear()


@pytest.fixture
def use(settings, tmp_path, servers, sources):
    """Configure the storage of static files."""

    def use(backend=PLAIN, **options):
        settings.STATIC_ROOT, settings.STATIC_URL = str(tmp_path / "static"), "/static/"
        options = {"hosts": [server.url for server in servers], "transport": "webdav"} | options
        settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": backend, "OPTIONS": options}}
        staticfiles_storage._wrapped = empty
        return staticfiles_storage

    yield use
    staticfiles_storage._wrapped = empty
