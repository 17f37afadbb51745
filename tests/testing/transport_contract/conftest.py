"""The contract of transports, a host for it, and whether it finds out what is wrong."""

import pytest

from kit.contracts import fails
from kit.folder_transport import SECRET
from resto.testing import TransportContract


@pytest.fixture
def suite(tmp_path):
    suite = TransportContract()
    suite.unreachable_host = str(tmp_path / "not-mounted")
    suite.silent_host = str(tmp_path / "not-mounted")
    suite.host_with_path = str(tmp_path / "host" / "a path of its own")
    suite.secret = SECRET
    suite.replaces_at_once = True
    suite.max_examples = 10
    suite.patience = 5
    return suite


@pytest.fixture
def host(tmp_path):
    (tmp_path / "host" / "a path of its own").mkdir(parents=True)
    return str(tmp_path / "host")


@pytest.fixture
def finds(suite, host, request, monkeypatch):
    """Tell whether the contract finds out that a transport breaks its promise."""

    monkeypatch.setenv("CI", "true")  # there pytest explains every difference, which must not take for ever

    def find(mutant):
        return fails(suite, mutant.promise, request, transport_and_host=(mutant.cls.build(), host))

    return find
