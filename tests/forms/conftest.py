"""Fixtures of the tests of forms."""

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from kit import albums
from kit.albums import Album, picture, sentence


@pytest.fixture(scope="module", autouse=True)
def _tables(django_db_setup, django_db_blocker):
    with albums.tables(django_db_blocker):
        yield


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture(params=["Hybrid", "Distributed"])
def kind(request):
    return request.param


@pytest.fixture
def site(kind, servers, settings, media_root):
    """The site with a kind of storage."""
    albums.set_up(settings, kind, [server.url for server in servers])


@pytest.fixture
def editor(site, client):
    client.force_login(User.objects.create_superuser("editor"))
    return client


@pytest.fixture
def album(site):
    album = Album(title="old", owner="somebody")
    album.cover.save("old.txt", ContentFile(b"old"))
    album.picture_set.create(caption="old", image=picture("old.png", 5))
    return album


@pytest.fixture
def down(servers):
    """What is said of a server that does not answer."""
    servers[1].refuse = True
    return sentence(f"{servers[1].address} does not answer")
