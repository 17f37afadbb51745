"""The pytest plugin: media servers, and throwaway hosts of a site, as fixtures."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest


# What an assertion of the contracts has found, in any of their modules, is shown as for those of a test module.
pytest.register_assert_rewrite("resto.testing.executor_contract", "resto.testing.transport_contract")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resto.testing.server import TestHttpServer
    from resto.testing.throwaway import ThrowawayHosts


@pytest.fixture
def resto_server_factory() -> Iterator[Callable[..., TestHttpServer]]:
    """Make started media servers: call it with the arguments of `resto.testing.TestHttpServer`.

    They are stopped when the test ends.
    """
    # Not at the top: pytest imports this module in every run, whoever needs a server or not.
    from resto.testing.server import TestHttpServer

    with ExitStack() as servers:

        def make(*args: Any, **kwargs: Any) -> TestHttpServer:
            return servers.enter_context(TestHttpServer(*args, **kwargs))

        yield make


@pytest.fixture
def resto_server(resto_server_factory: Callable[..., TestHttpServer]) -> TestHttpServer:
    """Return a started media server with no files."""
    return resto_server_factory()


@pytest.fixture
def resto_hosts() -> Iterator[ThrowawayHosts]:
    """Give all storages of the site throwaway hosts, for this test: nothing is sent to its media servers."""
    from resto.testing.throwaway import ThrowawayHosts  # as above

    with ThrowawayHosts() as hosts:
        yield hosts
