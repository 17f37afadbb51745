"""How a transport is made and closed, and what it tells of itself."""

import inspect
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import new_name
from resto.transports import Transport


class Lifecycle(TransportSuite):
    """A transport before it acts, and when it was closed."""

    def test_constructor_takes_what_storages_give(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is built as ``Transport(base_url, *, timeout, **options)``, and tells both as attributes."""
        transport, _ = transport_and_host
        assert isinstance(transport, Transport), "a transport must be a subclass of resto.transports.Transport"
        inspect.signature(type(transport)).bind_partial("/media/", timeout=2.0)
        assert transport.timeout > 0, "the attribute 'timeout' must tell the seconds that a host may stay silent"
        assert hasattr(transport, "base_url")

    def test_constructor_touches_no_network(
        self, transport_and_host: tuple[Transport, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It neither connects nor resolves names, nor evaluates a lazy ``base_url``."""
        transport, _ = transport_and_host
        try:
            arguments = inspect.signature(type(transport)).bind(_Lazy(), timeout=2.0)
        except TypeError:
            return  # it needs options, which only the fixture knows
        with monkeypatch.context() as network:
            network.setattr(socket.socket, "connect", _refuse_network)
            network.setattr(socket, "getaddrinfo", _refuse_network)
            type(transport)(*arguments.args, **arguments.kwargs).close()

    def test_flags_are_booleans(self, transport_and_host: tuple[Transport, str]) -> None:
        """What it can do is known without asking a host."""
        transport, _ = transport_and_host
        for flag in ("supports_listdir", "supports_modified_time", "supports_scan", "has_literal_credentials"):
            assert isinstance(getattr(transport, flag), bool), f"{flag} must be True or False"

    def test_host_has_an_identity(self, transport_and_host: tuple[Transport, str]) -> None:
        """It is a string, always the same, and another one for another host."""
        transport, host = transport_and_host
        identity = transport.identify(host)
        assert isinstance(identity, str)
        assert transport.identify(host) == identity
        if self.unreachable_host is not None:
            assert transport.identify(self.unreachable_host) != identity

    def test_public_url_is_that_of_a_directory(self, transport_and_host: tuple[Transport, str]) -> None:
        """Visitors find files below it, if there is one."""
        transport, host = transport_and_host
        url = transport.public_url(host)
        assert url is None or url.endswith("/"), "public_url must end with a slash"

    def test_local_path_is_where_files_are(self, transport_and_host: tuple[Transport, str]) -> None:
        """A file that is stored is there, under its name, if the host is a directory of this machine."""
        transport, host = transport_and_host
        path, name = transport.local_path(host), new_name("here.txt")
        if path is not None:
            transport.create(host, name, b"content")
            assert Path(path).is_absolute(), "local_path must be absolute"
            assert Path(path, name).read_bytes() == b"content", "local_path must be the directory in which files are"

    def test_close_is_not_the_end(self, transport_and_host: tuple[Transport, str]) -> None:
        """`close` releases what the transport holds; afterwards it can be used, and closed, again."""
        transport, host = transport_and_host
        name = new_name("closed.txt")
        transport.create(host, name, b"content")
        for _ in range(2):
            transport.close()
            transport.close()
            assert transport.content(host, name) == b"content"


class _Lazy:
    """Stands for a URL that is not known yet."""

    def __str__(self) -> NoReturn:
        raise AssertionError("a lazy base_url must not be evaluated before the first use")


def _refuse_network(*args: Any, **kwargs: Any) -> NoReturn:
    raise AssertionError("the constructor must not use the network")
