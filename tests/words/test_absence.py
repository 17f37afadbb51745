"""What commands say of storages that have no hosts on purpose."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command


SENTENCE = "STORAGES['default'] has no hosts on purpose, as hosts is 'none': files are in the master copy only."


@pytest.fixture
def _site(settings, media_root):
    settings.DEBUG = True
    settings.RESTO_MEDIA_HOSTS = "none"
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage"}}
    storages["default"].save("a.txt", ContentFile(b"data"))


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_site")]


def lines(capsys, *command, **options):
    call_command(*command, **options)
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


def test_status(capsys):
    assert lines(capsys, "resto_status") == [SENTENCE]
    assert lines(capsys, "resto_status", probe=True) == [SENTENCE]
    assert lines(capsys, "resto_status", names=True) == [SENTENCE, "Nothing is pending."]
    assert lines(capsys, "resto_status", "a.txt")[0] == SENTENCE
    assert [json.loads(line) for line in lines(capsys, "resto_status", json=True)] == [[]]


def test_drain(capsys):
    assert lines(capsys, "resto_drain") == [SENTENCE, "Nothing is due."]


def test_sync(capsys):
    assert lines(capsys, "resto_sync") == [SENTENCE]
    report = json.loads("".join(lines(capsys, "resto_sync", json=True)))
    assert (report["differences"], report["agrees"], report["storages"]["default"]["hosts"]) == ([], True, [])


@pytest.mark.parametrize("command", ["resto_restore", "resto_adopt"])
def test_what_needs_hosts(command):
    with pytest.raises(CommandError) as caught:
        call_command(command, "--no-input")
    assert str(caught.value) == SENTENCE


@pytest.mark.parametrize("command", ["resto_sync", "resto_drain"])
def test_host_that_is_none(command):
    with pytest.raises(CommandError, match=r"There is no host media-1; there are none\."):
        call_command(command, host=["media-1"])


def test_other_storages_are_told_of_as_ever(capsys, settings, resto_server, tmp_path):
    other = {"hosts": [resto_server.url], "location": str(tmp_path / "other"), "transport": "webdav"}
    settings.STORAGES = settings.STORAGES | {"other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": other}}
    assert lines(capsys, "resto_status") == [SENTENCE, f"other: {resto_server.url} answers; nothing is pending."]
    (tmp_path / "other").mkdir()
    storages["other"].save("b", ContentFile(b""))
    assert lines(capsys, "resto_sync") == [SENTENCE, f"other: {resto_server.url}: 1 file compared."]


def test_storage_that_needs_hosts_is_no_such_case(capsys, settings):
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage"}}
    with pytest.raises(SystemExit):
        call_command("resto_status")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "DistributedStorage keeps files on hosts only" in printed.err
