"""What ``STORAGES`` has of resto, and which host an address means."""

from kit.hosts import make
from resto.storage.finding import find_host


def test_host_is_found_however_it_is_spelled():
    storage = make(["http://one", "http://two/media/"], transport="http")
    assert find_host(storage, "HTTP://one:80/") == "http://one"
    assert find_host(storage, "http://two/media") == "http://two/media/"
    assert find_host(storage, "http://two/") is None
    assert find_host(storage, "ftp://one/") is None
