"""Throwaway hosts for the tests of a site: nothing is sent to its media servers, whichever way its storages were made."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from django.core.files.storage import storages
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from resto import health
from resto.exceptions import ConfigurationError
from resto.executors.lanes import process_lanes
from resto.hosts import Host, HostURL, StandIn, parse_written_url, put_in_place
from resto.settings import storage_settings
from resto.testing.server import TestHttpServer


if TYPE_CHECKING:
    from unittest import TestCase as _TestCase
    from unittest import TestResult
else:
    _TestCase = object


__all__ = ["ThrowawayHosts", "ThrowawayHostsMixin"]

# Of storages that name none: a test may be about hosts where a site that is developed has none. The names are nobody's (RFC 6761).
_HOSTS = (Host("media-1.test"), Host("media-2.test"))


class ThrowawayHosts:
    """Puts servers of this process in place of the hosts of all storages, as long as it is entered.

    Storages keep their settings, and hosts their addresses: what is sent to one goes to a `TestHttpServer` in memory, below the
    path of the host. It needs no credential or certificate, and is started when it is first asked for. A transport that does not
    speak HTTP is replaced by ``"webdav"``, and an executor for a task queue by ``"thread"``: its workers are other processes. A
    storage without hosts, or with ``"none"``, gets two.

    Args:
        like: Others, whose files each host has at first.
    """

    def __init__(self, like: ThrowawayHosts | None = None) -> None:
        self._like = like
        self._before: StandIn | None = None
        self._lock = threading.Lock()
        self._started = ExitStack()
        self._servers: dict[str, TestHttpServer] = {}
        self._addresses: dict[str, TestHttpServer] = {}

    @property
    def servers(self) -> dict[str, TestHttpServer]:
        """The servers by the addresses of hosts, as ``STORAGES`` has them, and of those that were used so far."""
        for alias, parameters in storage_settings().items():
            if hasattr(import_string(parameters["BACKEND"]), "transport_for"):
                storage: Any = storages[alias]
                for host in storage.hosts:
                    storage.transport_for(host).identify(host)
        with self._lock:
            return dict(self._addresses)

    def wait(self) -> None:
        """Wait for what storages do in the background."""
        process_lanes().wait_for_all()

    def __enter__(self) -> Self:
        self._before = put_in_place(self)
        _compose_anew()
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            for server in self._servers.values():
                server.heal()
            self.wait()  # else the rest would be sent to the hosts themselves
        finally:
            put_in_place(self._before)
            _compose_anew()
            self._started.close()
            health.forget()

    # What `StandIn` asks for.

    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts of a storage that has none."""
        return _HOSTS

    def url(self, address: str, base_url: str) -> HostURL:
        """Return the URL that is used in place of that of a host."""
        place, path = _parts(address, base_url)
        with self._lock:
            if any(server.address == place for server in self._servers.values()):
                return parse_written_url(address, base_url)  # a test has named the server itself
            # An address is one server, whatever scheme each storage takes from its base URL.
            server = self._addresses[address] = self._known(address, place) or self._start(address, place)
        return replace(parse_written_url(server.url, base_url), path=path)

    def _known(self, address: str, place: str) -> TestHttpServer | None:
        return self._addresses.get(address) or self._servers.get(place)

    def _start(self, address: str, place: str) -> TestHttpServer:
        server = self._servers[place] = self._started.enter_context(TestHttpServer())
        before = None if self._like is None else self._like._known(address, place)  # noqa: SLF001 - of the same class
        for name, content in {} if before is None else before.files.items():
            server.create_file(name, content)
        return server


class ThrowawayHostsMixin(_TestCase):
    """Gives the tests of a `TestCase` throwaway hosts; goes before it: ``class LetterTests(ThrowawayHostsMixin, TestCase)``.

    What ``setUpTestData`` and ``setUpClass`` save is there in each test; what a test saves, in this one only.

    Attributes:
        resto_hosts: The hosts of the test, or those of the class outside of tests.
    """

    resto_hosts: ThrowawayHosts

    @classmethod
    def setUpClass(cls) -> None:
        """Begin with the hosts of the class; see `unittest.TestCase.setUpClass`."""
        cls.resto_hosts = cls.enterClassContext(ThrowawayHosts())
        super().setUpClass()

    def run(self, result: TestResult | None = None) -> TestResult | None:
        """Run one test, with hosts of its own; see `unittest.TestCase.run`."""
        with ThrowawayHosts(type(self).resto_hosts) as self.resto_hosts:
            return super().run(result)


def _parts(address: str, base_url: str) -> tuple[str, str]:
    """Return what tells the server of a host from others, and the path of the host there."""
    try:
        url = parse_written_url(address, base_url)
    except ConfigurationError:
        if address.startswith(("http:", "https:")):
            raise
        return address, "/"  # such as that of a bucket
    return f"{url.hostname}:{url.port}", url.path


def _compose_anew() -> None:
    """Let storages make new transports, as after a change of settings."""
    setting_changed.send(ThrowawayHosts, setting="RESTO_MEDIA_HOSTS", value=None, enter=True)
