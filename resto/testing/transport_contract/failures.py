"""Failures: which errors there are, what they tell, and what they never show."""

import logging
import pickle
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from resto.exceptions import HostUnavailableError, TransportError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import failure, new_name
from resto.transports import Transport


class Failures(TransportSuite):
    """Hosts that give no answer, errors on their way to other processes, and secrets."""

    def test_unreachable_host_is_an_error(self, transport_and_host: tuple[Transport, str]) -> None:
        """Every method raises `HostUnavailableError`, soon: in particular, no file passes for absent or deleted."""
        self._try_all(transport_and_host[0], self._told("unreachable_host"))

    def test_silent_host_is_an_error(self, transport_and_host: tuple[Transport, str]) -> None:
        """The same holds where a connection can be made, and nothing comes over it."""
        self._try_all(transport_and_host[0], self._told("silent_host"))

    def _try_all(self, transport: Transport, host: str) -> None:
        """Make sure that no action on a host ends in anything but an error of a host that gives no answer, and soon."""
        for method, *arguments in self._actions(transport):
            started = time.monotonic()
            with failure(HostUnavailableError, host, "a.txt", method) as caught:
                _act(transport, method, host, "a.txt", *arguments)
            assert isinstance(caught[0].ambiguous, bool)
            assert time.monotonic() - started <= 3 * transport.timeout + 1, f"{method} took longer than the timeout"

    def test_errors_can_be_pickled(self, transport_and_host: tuple[Transport, str]) -> None:
        """Workers of task queues, and logs, hand them over to other processes."""
        transport, host = transport_and_host
        for error in self._errors(transport, host):
            copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
            assert type(copy) is type(error)
            assert (str(copy), repr(copy), vars(copy)) == (str(error), repr(error), vars(error))

    def test_secret_never_shows(
        self, transport_and_host: tuple[Transport, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither in an error, its traceback or its pickle, nor in the log, nor where the transport is printed."""
        secret = self._told("secret")
        transport, host = transport_and_host
        shown = [repr(transport), str(transport)]
        with caplog.at_level(logging.DEBUG):
            transport.create(host, new_name("secret.txt"), b"content")
            for error in self._errors(transport, host):
                shown += [repr(error), repr(vars(error)), *traceback.format_exception(error)]
                shown.append(pickle.dumps(error).decode("latin-1"))
        shown += [repr(vars(record)) for record in caplog.records]
        assert secret not in "\n".join([*shown, caplog.text]), "the secret shows"

    def test_stranger_is_one_more_transport(self, transport_and_host: tuple[Transport, str]) -> None:
        """`without_credentials` returns one that has none, for the same hosts; or None."""
        transport, host = transport_and_host
        stranger = transport.without_credentials()
        if stranger is None:
            return
        assert isinstance(stranger, Transport)
        assert stranger.identify(host) == transport.identify(host)
        assert stranger is not transport or self.secret is None, "it has the credentials of the transport"
        stranger.close()
        transport.create(host, new_name("stranger.txt"), b"content")

    def _actions(self, transport: Transport) -> list[tuple[Any, ...]]:
        optional = [
            *[("modified_time",)] * transport.supports_modified_time,
            *[("listdir",)] * transport.supports_listdir,
            *[("scan",)] * transport.supports_scan,
        ]
        return [("create", b"content"), ("delete",), ("exists",), ("size",), ("content",), ("open",), *optional]

    def _errors(self, transport: Transport, host: str) -> Iterator[TransportError]:
        """Yield errors of all kinds that can be had."""
        hosts = [host] if self.unreachable_host is None else [host, self.unreachable_host]
        for one in hosts:
            for method, *arguments in self._actions(transport):
                if one == host and method in ("create", "scan"):
                    continue
                try:
                    _act(transport, method, one, new_name("absent.txt"), *arguments)
                except TransportError as error:
                    yield error


def _act(transport: Transport, method: str, host: str, name: str, *arguments: Any) -> None:
    result = getattr(transport, method)(host, name, *arguments)
    if method == "open":
        with result:
            result.read()
    elif method == "scan":
        list(result)
