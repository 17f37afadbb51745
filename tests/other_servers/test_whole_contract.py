"""The bundled transports keep their contract, whatever kind of server it is."""

import contextlib

import pytest

from other_servers.conftest import TRANSPORTS
from resto.testing import TransportContract


class TestContract(TransportContract):
    # What has nothing to do with the server.
    test_constructor_takes_what_storages_give = None
    test_constructor_touches_no_network = None
    test_flags_are_booleans = None
    test_host_has_an_identity = None
    test_unreachable_host_is_an_error = None
    test_silent_host_is_an_error = None
    test_hosts_of_one_server_share_no_file = None
    test_close_is_not_the_end = None

    max_examples = 6

    @pytest.fixture
    def transport_and_host(self, case, server, options):
        self.makes_directories = case[1] == "webdav" or server.kind.makes_parents
        with contextlib.closing(TRANSPORTS[case[1]]("/", timeout=10, **options)) as transport:
            if not server.kind.propfind:
                transport.supports_listdir = transport.supports_scan = False  # which is an error in both cases
            yield transport, server.new_folder()[0]
