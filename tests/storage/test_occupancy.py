"""What hosts have before a master copy begins, and storages in common."""

import pytest
from django.core.files.storage import storages

from resto.exceptions import ConfigurationError
from resto.storage import occupancy
from resto.storage.occupancy import aliases_of_location, naming_storage, occupied_host


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine needs some: a host that answers has time for it."""
    monkeypatch.setattr(occupancy, "PATIENCE", 60)


def occupied(storage):
    return occupied_host({host: storage.transport_for(host) for host in storage.hosts})


def test_host_with_a_file_is_named(storage, servers):
    assert occupied(storage) is None
    servers[2].create_file("d/e/a", b"")
    assert occupied(storage) == f"{servers[2].url} has some"


def test_files_of_resto_are_none_of_a_site(storage, servers):
    for name in (".resto-1", "d/.resto-2", ".resto.host"):
        servers[0].create_file(name, b"")
    assert occupied(storage) is None


def test_host_that_does_not_answer_is_left_out(storage, servers):
    servers[0].refuse = True
    servers[0].create_file("a", b"")
    assert occupied(storage) is None


def test_host_with_very_many_directories_has_files(storage, servers):
    for number in range(101):
        servers[0].create_file(f"{number}/.resto-1", b"")
    assert occupied(storage) == f"{servers[0].url} has some"


def test_storages_with_the_same_directory_are_found_whatever_leads_there(settings, tmp_path, servers):
    (tmp_path / "media").mkdir()
    (tmp_path / "link").symlink_to("media")
    hosts = [servers[0].url]

    def of(kind, location):
        return {"BACKEND": kind, "OPTIONS": {"hosts": hosts, "location": str(tmp_path / location)}}

    settings.STORAGES = {
        "default": of("resto.storage.HybridStorage", "media"),
        "later": of("resto.storage.AsyncStorage", "link"),
        "other": of("resto.storage.HybridStorage", "other"),
        "broken": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"nonsense": 1}},
        "local": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "media")},
        },
        "distributed": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": {"hosts": hosts}},
    }
    assert aliases_of_location(storages["default"].location) == {
        "default": storages["default"],
        "later": storages["later"],
    }


@pytest.mark.parametrize("parameters", [{}, {"BACKEND": "missing.Storage"}])
def test_storage_that_cannot_be_made_is_left_out(settings, parameters):
    settings.STORAGES = {"default": parameters}
    assert aliases_of_location("/media") == {}


def test_host_that_hangs_is_not_waited_for(storage, servers, monkeypatch):
    servers[0].hang = True
    try:
        with monkeypatch.context() as patch:
            patch.setattr(occupancy, "PATIENCE", 0.5)
            assert occupied(storage) is None
        monkeypatch.setattr(occupancy, "PATIENCE", 5)
        servers[1].create_file("a", b"")
        assert occupied(storage) == f"{servers[1].url} has some"
    finally:
        servers[0].heal()


def test_commands_are_about_the_storage_that_is_meant_where_there_are_others(settings, tmp_path, servers):
    hint = "If its files are lost, run: manage.py resto_restore. If not: manage.py resto_adopt."
    problem = ConfigurationError("it is another one", hint, "E019")

    def of(location, kind="Hybrid"):
        options = {"hosts": [servers[0].url], "location": str(tmp_path / location)}
        return {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}

    settings.STORAGES = {"default": of("a"), "later": of("a", "Async")}
    assert naming_storage(problem, str(tmp_path / "a")) is problem
    settings.STORAGES |= {"other": of("b")}
    named = naming_storage(problem, str(tmp_path / "b"))
    assert (named.problem, named.code) == (problem.problem, problem.code)
    assert named.hint == (
        "If its files are lost, run: manage.py resto_restore --storage other. If not: manage.py resto_adopt --storage other."
    )
    assert "resto_restore --storage default." in naming_storage(problem, str(tmp_path / "a")).hint
    assert naming_storage(problem, str(tmp_path / "elsewhere")) is problem
