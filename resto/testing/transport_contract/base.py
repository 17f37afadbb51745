"""What an author overrides, and every theme uses."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings


class TransportSuite:
    """The fixture and the attributes of the contract, which `resto.testing.TransportContract` explains."""

    unreachable_host: str | None = None
    silent_host: str | None = None
    host_with_path: str | None = None
    secret: str | None = None
    makes_directories: bool = True
    keeps_files_in_memory: bool = False
    replaces_at_once: bool = False
    max_examples: int = 10
    patience: float = 10.0

    @pytest.fixture
    def transport_and_host(self) -> Any:
        """Return a transport, and a host that it can reach. To be overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture 'transport_and_host', and return a transport and a host"
        )

    def _examples(self, test: Callable[..., None]) -> Callable[..., None]:
        return settings(max_examples=self.max_examples, deadline=None)(test)

    def _told(self, attribute: str) -> str:
        """Return what an attribute tells, and skip the test if that is nothing."""
        told: str | None = getattr(self, attribute)
        if told is None:
            pytest.skip(f"{type(self).__name__} has no {attribute!r}")
        return told

    @property
    def _separator(self) -> str:
        return "/" if self.makes_directories else "-"
