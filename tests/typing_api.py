"""Examples of the public API. Nothing runs them: mypy reads them, as it would read a site or a plugin."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO, assert_type

from django.core.files.base import ContentFile
from django.db import models

from resto import hookimpl
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    ReplicationError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.executors import Executor, Job
from resto.outcomes import Outcome
from resto.plugins import PluginManager, get_plugin_manager
from resto.settings import get_setting
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.testing import TestHttpServer
from resto.transports import Entry, Transport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


# A site: storages, directly and in a model.

short = DistributedStorage(["media-1:8080", "media-2:8080"])
full = HybridStorage(
    ["https://media-1.example.com/media/", {"url": "https://media-2.example.com/media/", "timeout": 5}],
    "https://media.example.com/",
    "/srv/media",
    file_permissions_mode=0o644,
    allow_overwrite=True,
    fatal_exceptions=False,
    show_traceback=True,
    timeout=0.5,
    transport="webdav",
    transport_options={"auth": "media"},
    executor="thread",
    executor_options={},
)
unknown_option = AsyncStorage(colour="blue")  # type: ignore[call-arg]
wrong_type = AsyncStorage(timeout="2")  # type: ignore[arg-type]


class Attachment(models.Model):
    file = models.FileField(storage=full)

    class Meta:
        app_label = "attachments"

    def __str__(self) -> str:
        return str(self.file)


def use_a_storage(storage: HybridStorage) -> None:
    assert_type(storage.save("a.txt", ContentFile(b"content")), str)
    assert_type(storage.exists("a.txt"), bool)
    assert_type(storage.size("a.txt"), int)
    assert_type(storage.url("a.txt"), str)
    assert_type(storage.listdir(""), tuple[list[str], list[str]])
    assert_type(storage.get_modified_time("a.txt"), datetime)
    assert_type(storage.hosts, tuple[str, ...])
    with storage.open("a.txt") as file:
        file.read()


def handle_errors(storage: DistributedStorage) -> list[str]:
    try:
        storage.delete("a.txt")
    except ConfigurationError as error:
        return [error.problem, error.hint, error.code]
    except ReplicationError as error:
        return [describe(outcome.error) for outcome in error.failures]
    return []


def describe(error: Exception | None) -> str:
    if isinstance(error, HostUnavailableError):
        return f"{error.host} {error.ambiguous}"
    if isinstance(error, UnexpectedStatusCode):
        return f"{error.host} {error.status + 1}"
    if isinstance(error, TransportError):
        return f"{error.host} {error.name} {error.action} {error.problem}"
    return str(error)


# A site that refines a storage.


class QueueStorage(AsyncStorage):
    def execute_one(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Any:
        return super().execute_one(func, host, name, *args, **kwargs)


class PatientStorage(DistributedStorage):
    def execute(self, func: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> list[Outcome] | None:
        return super().execute(func, name, *args, **kwargs)


assert_type(get_setting("TIMEOUT"), Any)


# A package with plugins.


class MemoryTransport(Transport):
    supports_scan = True

    def __init__(self, base_url: str, *, timeout: float = 2, size: int = 1024) -> None:
        super().__init__(base_url, timeout=timeout)
        self.files: dict[tuple[str, str], bytes] = {}

    def open(self, host: str, name: str) -> BinaryIO:
        raise TransportError(host, name, "download", "not here")

    def exists(self, host: str, name: str) -> bool:
        return (host, name) in self.files

    def size(self, host: str, name: str) -> int:
        return len(self.files[host, name])

    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        existed = self.exists(host, name)
        self.files[host, name] = content if isinstance(content, bytes) else content.read()
        return existed

    def delete(self, host: str, name: str) -> bool:
        return self.files.pop((host, name), None) is not None

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        yield Entry("a.txt", size=3, modified=None, etag=None)


class TracingTransport(WebDAVTransport):
    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        return super().create(host, name, content)


class LoopExecutor(Executor):
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return [job.run() for job in jobs]

    def submit(self, jobs: Sequence[Job]) -> None:
        self.run(jobs)


class HalfExecutor(Executor):
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return []


HalfExecutor()  # type: ignore[abstract]


@hookimpl
def resto_register_transports() -> dict[str, str | type[Transport]]:
    return {"memory": MemoryTransport, "tracing": "package.TracingTransport"}


@hookimpl
def resto_register_executors() -> dict[str, type[Executor]]:
    return {"loop": LoopExecutor}


@hookimpl
def resto_action_finished(outcome: Outcome) -> None:
    assert_type(outcome.ok, bool)
    assert_type(outcome.seconds, float)
    assert_type(outcome.error, Exception | None)


assert_type(get_plugin_manager(), PluginManager)
assert_type(get_plugin_manager().transport("http"), type[Transport])
assert_type(get_plugin_manager().executor(LoopExecutor), type[Executor])
DistributedStorage(["media-1"], transport=HttpTransport, executor=LoopExecutor)


# A test of a site.


def test_upload(server: TestHttpServer) -> None:
    assert_type(server.has_file("a.txt"), bool)
