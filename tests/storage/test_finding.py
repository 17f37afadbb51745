"""What ``STORAGES`` has of resto, and which host an address means."""

from kit.hosts import make
from resto.storage.finding import find_host, unusable_backends


def test_host_is_found_however_it_is_spelled():
    storage = make(["http://one", "http://two/media/"], transport="http")
    assert find_host(storage, "HTTP://one:80/") == "http://one"
    assert find_host(storage, "http://two/media") == "http://two/media/"
    assert find_host(storage, "http://two/") is None
    assert find_host(storage, "ftp://one/") is None


def test_backends_that_cannot_be_imported(settings):
    settings.STORAGES = {
        "default": {"BACKEND": "resto.storage.HybridStorage"},
        "missing": {"BACKEND": "resto.storage.NoStorage"},
        "broken": {"BACKEND": "kit.hosts.make.nothing"},
        "empty": {},
        "list": [],
    }
    assert unusable_backends() == {
        "missing": "its BACKEND 'resto.storage.NoStorage' cannot be imported: "
        'ImportError: Module "resto.storage" does not define a "NoStorage" attribute/class',
        "broken": "its BACKEND 'kit.hosts.make.nothing' cannot be imported: "
        "ModuleNotFoundError: No module named 'kit.hosts.make'; 'kit.hosts' is not a package",
        "empty": "it has no BACKEND",
        "list": "it is of type list, and must be a mapping",
    }
    assert list(unusable_backends(["default", "empty"])) == ["empty"]
