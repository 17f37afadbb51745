"""The command that drains, in this process and in one of its own."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from resto import pending
from resto.models import Pending


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory(webdav=False)


@pytest.fixture
def missed(settings, media_root, server, monkeypatch):
    """A host has missed two files, and it is time for them."""
    monkeypatch.setattr(pending, "_unreachable", set())
    settings.RESTO_MEDIA_HOSTS = [server.url]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    server.refuse = True
    for name in "ab":
        storages["default"].save(name, ContentFile(b"1"))
    server.refuse = False
    Pending.objects.update(due=0, quiet_until=0)


@pytest.mark.django_db
def test_command_replicates_what_is_due(missed, server, capsys):
    call_command("resto_drain")
    assert capsys.readouterr().out == "2 replicated.\n"
    assert set(server.files) == {"a", "b"}
    call_command("resto_drain")
    assert capsys.readouterr().out == "Nothing is due.\n"


@pytest.mark.django_db
def test_command_fails_if_a_host_does(missed, server, capsys):
    server.refuse = True
    with pytest.raises(CommandError, match="will be tried again"):
        call_command("resto_drain")
    assert capsys.readouterr().out == "1 failed, 1 left for later, as their host is down.\n"


@pytest.mark.django_db
def test_options(missed, server, capsys):
    call_command("resto_drain", host=["http://other/"])
    call_command("resto_drain", storage=["other"])
    assert capsys.readouterr().out == "Nothing is due.\n" * 2
    call_command("resto_drain", limit=1)
    assert len(server.files) == 1


def test_nothing_is_recorded_without_the_application():
    with pytest.raises(CommandError, match="INSTALLED_APPS"):
        call_command("resto_drain")
