"""The observer that counts for Prometheus."""

import pytest
from prometheus_client import REGISTRY

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager


HOSTS = iter(range(1000))


@pytest.fixture
def host():
    """One that nothing was counted for."""
    return f"host-{next(HOSTS)}"


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


def notify(host, error=None):
    get_plugin_manager().notify(Outcome("upload", host, "a.txt", 0.25, None if error else True, error))


def test_actions_are_counted_and_timed(host):
    notify(host)
    notify(host)
    assert value("resto_action_seconds_count", host=host, action="upload") == 2
    assert value("resto_action_seconds_sum", host=host, action="upload") == 0.5
    assert value("resto_failures_total", host=host, action="upload") == 0


def test_failures_are_counted(host):
    notify(host, HostUnavailableError(host, "a.txt", "upload", "refused"))
    assert value("resto_failures_total", host=host, action="upload") == 1
    assert value("resto_action_seconds_count", host=host, action="upload") == 1


def test_missing_file_is_no_failure(host):
    notify(host, RemoteFileNotFoundError(host, "a.txt", "download", "it does not have the file"))
    assert value("resto_failures_total", host=host, action="upload") == 0


def test_backlog(host):
    for count, oldest in ((3, 60.5), (0, None)):
        get_plugin_manager().notify_pending("default", host, count, oldest, 1)
        assert value("resto_pending", storage="default", host=host) == count
        assert value("resto_pending_oldest_seconds", storage="default", host=host) == (oldest or 0)
