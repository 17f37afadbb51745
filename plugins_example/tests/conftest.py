"""What the tests share: storages of Django, and a server that speaks S3."""

import pytest

from buckets import serve_s3
from resto import health


@pytest.fixture(autouse=True)
def _fresh_breakers():
    health.forget()


@pytest.fixture
def add_storage(settings):
    """Name a storage in ``STORAGES``."""

    def add(alias, backend, **options):
        settings.STORAGES = settings.STORAGES | {alias: {"BACKEND": backend, "OPTIONS": options}}

    return add


@pytest.fixture
def add_disk(add_storage, tmp_path):
    """Name a directory in ``STORAGES``, and return it."""

    def add(alias, **options):
        directory = tmp_path / alias
        directory.mkdir()
        add_storage(alias, "django.core.files.storage.FileSystemStorage", location=directory, **options)
        return directory

    return add


@pytest.fixture(scope="session")
def s3_server():
    """The URL of a server that speaks S3, with one bucket."""
    with serve_s3() as url:
        yield url
