"""Examples of the public API. Nothing runs them: mypy reads them, as it would read a site or a plugin.

All public names are here: `test_reference` compares.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Literal, Unpack, assert_type

import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import models
from django.forms import BaseModelFormSet, Form, ModelForm
from django.http import HttpRequest, HttpResponse
from django.test import TestCase
from django.urls import URLPattern
from django.views.generic import CreateView, FormView, UpdateView
from prometheus_client.core import Metric

from resto import __version__, hookimpl
from resto.admin import register
from resto.courses import Arrival, Course, as_method, course_of, finish
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    JobRefusedError,
    LeaseLostError,
    RemoteDirectoryError,
    RemoteFileChangedError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    ReplicationError,
    RestoError,
    TransportError,
    UndecidedError,
    UnexpectedStatusCode,
)
from resto.executors import Executor, Job, Lanes, RemoteCall, Task, process_lanes
from resto.executors.celery import CeleryExecutor
from resto.executors.inline import InlineExecutor
from resto.executors.queue import MAX_RETRIES, Message, QueueExecutor, retry_delay
from resto.executors.rq import RqExecutor
from resto.executors.tasks import TasksExecutor
from resto.executors.thread import ThreadExecutor
from resto.forms import ReplicatedAdminMixin, ReplicatedFormMixin, saving
from resto.health import Health, forget, state
from resto.installed import Installed, conflicts, installed_plugins
from resto.metrics import exposed
from resto.metrics.record import RecordCollector
from resto.names import clean_name, is_temporary, temporary_name
from resto.outcomes import Outcome
from resto.plugins import PluginManager, get_plugin_manager
from resto.progress import Progress
from resto.repair.drain import Drained, drain
from resto.repair.probe import HostProbe, probe_hosts
from resto.repair.status import HostStatus, host_statuses
from resto.repair.sync import Difference, Disagreement, HostReport, Notice, SyncOptions, SyncReport, synchronize
from resto.settings import get_credential, get_setting, storage_settings
from resto.staticfiles import ManifestStaticFilesStorage, StaticFilesStorage
from resto.storage import (
    AsyncStorage,
    DistributedStorage,
    HybridStorage,
    ReplicatedStorage,
    StorageOptions,
    is_replicated,
)
from resto.testing import (
    ExecutorContract,
    QueueExecutorContract,
    TestHttpServer,
    ThrowawayHosts,
    ThrowawayHostsMixin,
    TransportContract,
)
from resto.transports import Directory, Entry, FilePart, Transport, Trial, Version
from resto.transports.directory import DirectoryTransport
from resto.transports.http import HttpOptions, HttpTransport
from resto.transports.webdav import WebDAVTransport
from resto.urls import urlpatterns
from resto.workers import Done, perform
from resto.workers.rq import DjangoWorker


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
quorum = DistributedStorage(["media-1", "media-2", "media-3"], write_quorum="majority", executor=InlineExecutor)
assert_type(quorum.write_quorum, int)
static = StaticFilesStorage(["media-1"], location="/srv/static", executor=ThreadExecutor)
manifest = ManifestStaticFilesStorage(["media-1"], "https://static.example.com/", timeout=5)
unknown_option = AsyncStorage(colour="blue")  # type: ignore[call-arg]
unknown_static_option = StaticFilesStorage(allow_overwrite=True)  # type: ignore[call-arg]
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
    except (LeaseLostError, JobRefusedError, RestoError) as error:
        return [str(error)]
    return []


def describe(error: Exception | None) -> str:
    if isinstance(error, HostUnavailableError):
        return f"{error.host} {error.ambiguous}"
    if isinstance(error, UnexpectedStatusCode):
        return f"{error.host} {error.status + 1}"
    if isinstance(
        error,
        (UndecidedError, RemoteRefusedError, RemoteDirectoryError, RemoteFileChangedError, RemoteFileNotFoundError),
    ):
        return error.problem
    if isinstance(error, TransportError):
        return f"{error.host} {error.name} {error.action} {error.problem}"
    return str(error)


# A site with forms.


class AttachmentForm(ModelForm[Attachment]):
    class Meta:
        model = Attachment
        fields = ("file",)


class AttachmentAdmin(ReplicatedAdminMixin, admin.ModelAdmin[Attachment]):
    def save_model(self, request: HttpRequest, obj: Attachment, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)


class Add(ReplicatedFormMixin, CreateView[Attachment, AttachmentForm]):
    model = Attachment


class Edit(ReplicatedFormMixin, UpdateView[Attachment, AttachmentForm]):
    model = Attachment


class Send(ReplicatedFormMixin, FormView[Form]):
    form_class = Form


def save_forms(form: AttachmentForm, formset: BaseModelFormSet[Attachment, AttachmentForm]) -> HttpResponse:
    with saving(form, formset, using="default"):
        form.save()
        return HttpResponse("saved")
    return HttpResponse("shown again")


# A site that refines a storage.


class QueueStorage(AsyncStorage):
    def execute_one(self, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any) -> Any:
        return super().execute_one(func, host, name, *args, **kwargs)


class PatientStorage(DistributedStorage):
    def execute(self, func: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> list[Outcome] | None:
        return super().execute(func, name, *args, **kwargs)


assert_type(get_setting("TIMEOUT"), Any)


assert_type(get_credential("media", option="auth", code="E008"), Any)
assert_type(storage_settings(), dict[str, Any])
assert_type(__version__, str)


class BlueStorage(HybridStorage):
    def __init__(self, *, colour: str = "blue", **options: Unpack[StorageOptions]) -> None:
        super().__init__(**options)
        self.colour = colour


# A site that looks after its hosts.


def watch(progress: Progress) -> None:
    assert_type(progress.total, int | None)
    assert_type(progress.is_final, bool)


def look_after_hosts(storage: ReplicatedStorage) -> None:
    assert_type(is_replicated("resto.storage.HybridStorage"), bool)
    assert_type(drain(), Drained)
    assert_type(drain(storage=["default"], hosts=["media-1"], limit=10, progress=watch).failed, int)
    assert_type(host_statuses(), list[HostStatus])
    for status in host_statuses(["default"]):
        assert_type(status.reachable, bool)
        assert_type(status.oldest, float | None)
    assert_type(probe_hosts(), list[HostProbe])
    assert_type([probe.problem for probe in probe_hosts(["default"])], list[str])
    report = synchronize(storage, SyncOptions(prefix="photos", dry_run=True, max_delete=5), show)
    assert_type(report, SyncReport)
    assert_type(report.hosts, list[HostReport])
    assert_type(report.agrees, bool)
    for host in storage.hosts:
        assert_type(state(storage.transport_for(host).identify(host)), Health)
    forget()


def show(event: Difference | Disagreement | Notice) -> None:
    if isinstance(event, Difference):
        assert_type(event.kind, Literal["missing", "different", "extra", "unknown"])
        assert_type(event.state, Literal["found", "repaired", "kept", "failed", "handed over"])
    elif isinstance(event, Disagreement):
        assert_type(event.sizes, dict[str, int | None])
    else:
        assert_type(event.reason, str)


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

    @as_method
    def size(self, host: str, name: str) -> Course[int]:
        if not (yield from course_of(self.exists, host, temporary_name(name))):
            yield Arrival(descriptor=3, deadline=1.5)
        return len(self.files[host, name])

    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        existed = self.exists(host, name)
        self.files[host, name] = content if isinstance(content, bytes) else content.read()
        return existed

    def delete(self, host: str, name: str) -> bool:
        return self.files.pop((host, name), None) is not None

    def try_directories(self, host: str) -> Trial | None:
        return Trial(spares=True, tells="", looks=("a look",), tried=0.0)

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        yield Entry("a.txt", size=3, modified=None, etag=None)

    def open_part(self, host: str, name: str, start: int, end: int | None, version: Version | None = None) -> FilePart:
        content = self.content(host, name)
        assert version is None or version.is_same_as(Version(len(content), tag="a tag"))
        return FilePart(io.BytesIO(content[start:end]), Version(len(content), tag="a tag"))

    def browse(self, host: str, name: str) -> Directory | None:
        directory = Directory()
        for _, member in self.files:
            if not is_temporary(member):
                directory.add(clean_name(member), 3, is_directory=False)
        return directory


def measure(transport: MemoryTransport) -> int:
    size: int = transport.size("media-1", "a.txt")
    return size + finish(course_of(transport.size, "media-1", "a.txt"))


class PlainTransport(HttpTransport):
    def __init__(self, base_url: str, *, timeout: float = 2, **options: Unpack[HttpOptions]) -> None:
        super().__init__(base_url, timeout=timeout, **options)


class MountedTransport(DirectoryTransport):
    def __init__(self, base_url: str, *, timeout: float = 2) -> None:
        super().__init__(base_url, timeout=timeout, fsync=True)

    def local_path(self, host: str) -> str:
        return super().local_path(host)


class TracingTransport(WebDAVTransport):
    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        return super().create(host, name, content)


class LoopExecutor(Executor):
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return [job.run() for job in jobs]

    def submit(self, jobs: Sequence[Job]) -> None:
        self.run(jobs)


class PoolExecutor(Executor):
    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return process_lanes().run(jobs, self.offer)

    def submit(self, jobs: Sequence[Job]) -> None:
        assert_type(process_lanes(), Lanes)
        process_lanes().submit(jobs, self.offer)

    def offer(self, task: Task) -> None:
        assert_type(task.job.remote, RemoteCall | None)
        assert_type(process_lanes().attempt(task), bool)


class SpoolExecutor(QueueExecutor):
    def enqueue(self, message: Message) -> None:
        assert_type(message["hosts"], list[str])
        work(dict(message), retries=0)


def work(message: Mapping[str, Any], retries: int) -> None:
    done = perform(message)
    assert_type(done, Done)
    if retries == MAX_RETRIES:
        raise done.error(message)
    assert_type([(again, retry_delay(retries)) for again in done.again], list[tuple[Message, float]])


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


@hookimpl
def resto_host_pending(storage: str, host: str, count: int, oldest: float | None, under_way: int) -> None:
    assert oldest is None or oldest >= 0


assert_type(get_plugin_manager(), PluginManager)
assert_type(installed_plugins(get_plugin_manager()), list[Installed])
assert_type(conflicts(get_plugin_manager()), list[str])
assert_type(get_plugin_manager().transport("http"), type[Transport])
assert_type(get_plugin_manager().executor(LoopExecutor), type[Executor])
DistributedStorage(["media-1"], transport=HttpTransport, executor=LoopExecutor)


QUEUES: dict[str, type[Executor]] = {"rq": RqExecutor, "celery": CeleryExecutor, "tasks": TasksExecutor}
RqExecutor(url="redis://localhost:6379/0", queue="media")


class Worker(DjangoWorker):
    pass


def show_metrics() -> None:
    assert_type(exposed(), tuple[bytes, str])
    assert_type([*RecordCollector().collect()], list[Metric])
    assert_type(urlpatterns, list[URLPattern])


# Tests of a site, and of plugins.


def test_upload(server: TestHttpServer) -> None:
    assert_type(server.has_file("a.txt"), bool)


def test_hosts(resto_hosts: ThrowawayHosts) -> None:
    assert_type(resto_hosts.servers, dict[str, TestHttpServer])
    resto_hosts.wait()


own_site = admin.AdminSite("operators")
register(own_site)


class LetterTests(ThrowawayHostsMixin, TestCase):
    def test_letter(self) -> None:
        assert_type(self.resto_hosts, ThrowawayHosts)


class TestMemoryTransport(TransportContract):
    unreachable_host = "http://127.0.0.1:1/"

    @pytest.fixture
    def transport_and_host(self) -> tuple[Transport, str]:
        return MemoryTransport("/media/"), "media-1"


class TestPoolExecutor(ExecutorContract):
    test_submit_does_not_wait = None  # type: ignore[assignment]  # which leaves it out

    @pytest.fixture
    def executor(self) -> Executor:
        return PoolExecutor()


class TestSpoolExecutor(QueueExecutorContract):
    @pytest.fixture
    def executor_and_messages(self) -> tuple[QueueExecutor, Callable[[], list[Message]]]:
        return SpoolExecutor(), list
