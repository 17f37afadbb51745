"""The media servers that files are saved to."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


__all__ = ["Hosts", "serve"]

# Nobody is asked for a password: django-resto knows none. Who writes is still asked for the right address.
WITHOUT_PASSWORD = {"auth_basic $media_realm;": "", "auth_basic_user_file @PASSWORDS@;": ""}


@dataclass(frozen=True)
class Hosts:
    """Some nginx, each a process of its own with a folder of its own.

    Attributes:
        addresses: Host and port of each.
        roots: Where each keeps its files.
        ca_bundle: Path of the certificates of those who signed theirs, if they speak HTTPS.
    """

    addresses: list[str]
    roots: list[Path]
    ca_bundle: str | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.ca_bundle else "http"

    def remove(self, folder: str) -> None:
        """Remove a folder everywhere: all files are in memory."""
        for root in self.roots:
            shutil.rmtree(root / folder, ignore_errors=True)


@contextmanager
def serve(number: int, *, https: bool = False) -> Iterator[Hosts]:
    """Serve some hosts."""
    from kit.servers import (
        MediaServer,  # here, as it imports pytest, which those who only need the class need not wait for
    )

    kind, edits = ("nginx-https", WITHOUT_PASSWORD) if https else ("nginx", {})
    with ExitStack() as stack:
        servers = [stack.enter_context(MediaServer(kind, edits)) for _ in range(number)]
        ca_bundle = None
        if https:
            ca_bundle = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
            ca_bundle.writelines(server.ca.read_text() for server in servers)
            ca_bundle.flush()
        yield Hosts(
            [server.url.partition("://")[2].rstrip("/") for server in servers],
            [server.root for server in servers],
            ca_bundle.name if ca_bundle else None,
        )
