"""The transport that makes storages of Django hosts."""

import io
import os
import pickle
import traceback

import pytest
from django.core import checks
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage, storages
from django.test import override_settings

from buckets import bucket
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteFileChangedError,
    RemoteFileNotFoundError,
    ReplicationError,
    TransportError,
)
from resto.plugins import get_plugin_manager
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import DistributedStorage, HybridStorage
from resto.testing import TransportContract
from resto_example_plugins.errors import StorageError
from resto_example_plugins.storage import StorageTransport


HERE = f"{__name__}."


@pytest.fixture
def transport():
    return StorageTransport("/media/")


class TestDisk(TransportContract):
    unreachable_host = "unmounted"
    replaces_at_once = True

    @pytest.fixture
    def transport_and_host(self, add_disk, transport):
        add_disk("unmounted").rmdir()
        add_disk("disk")
        return transport, "disk"


class TestMemory(TransportContract):
    keeps_files_in_memory = True

    @pytest.fixture
    def transport_and_host(self, add_storage, transport):
        add_storage("memory", "django.core.files.storage.InMemoryStorage")
        return transport, "memory"


@pytest.fixture(scope="class")
def buckets(s3_server):
    """The same for all tests of a class: boto takes a second to make a client."""
    with override_settings(STORAGES={"s3": bucket(s3_server), "unreachable": bucket("http://127.0.0.1:1")}):
        yield


class TestBucket(TransportContract):
    """With the storage of another package, over the network."""

    unreachable_host = "unreachable"
    secret = "resto-secret-key"
    max_examples = 5
    keeps_files_in_memory = True  # as much of them as boto's transfers do
    test_forked_child_may_use_it = None  # the storage shares its connections with its parent

    @pytest.fixture
    def transport_and_host(self, buckets, transport):
        return transport, "s3"


class TestStorageOfResto(TransportContract):
    """A storage of resto, which keeps files on several media servers, as one host."""

    @pytest.fixture
    def transport_and_host(self, add_storage, add_disk, transport):
        add_disk("one")
        add_disk("two")
        add_storage("both", "resto.storage.DistributedStorage", hosts=["one", "two"], transport=StorageTransport)
        return transport, "both"


# Parts.

LARGE = b"".join(number.to_bytes(4) for number in range(1_000_000))


@pytest.fixture
def fetched(buckets):
    """How many bytes came from the bucket, for each request."""
    events, found = storages["s3"].connection.meta.client.meta.events, []

    def note(parsed, **kwargs):
        found.append(parsed["ContentLength"])

    events.register("after-call.s3.GetObject", note)
    yield found
    events.unregister("after-call.s3.GetObject", note)


def test_beginning_and_end_of_a_file_in_a_bucket_are_fetched_alone(transport, fetched):
    transport.create("s3", "video.mp4", LARGE)
    with DistributedStorage(["s3"], "/media/", transport="storage").open("video.mp4") as file:
        assert file.read(1000) == LARGE[:1000]
        file.seek(-1000, os.SEEK_END)
        assert file.read() == LARGE[-1000:]
        assert sum(fetched) < 200_000


def test_file_in_a_bucket_that_is_replaced_between_two_requests_has_changed(transport, buckets):
    transport.create("s3", "a.bin", b"old" * 1000)
    part = transport.open_part("s3", "a.bin", 0, 10)
    part.stream.close()
    client = storages["s3"].connection.meta.client

    def replace(**kwargs):
        client.meta.events.unregister("before-call.s3.GetObject", replace)
        client.put_object(Bucket="media", Key="a.bin", Body=b"new" * 1000)

    client.meta.events.register("before-call.s3.GetObject", replace)
    with pytest.raises(RemoteFileChangedError):
        transport.open_part("s3", "a.bin", 10, 20, part.version)
    with transport.open_part("s3", "a.bin", 10, 20).stream as stream:
        assert stream.read() == (b"new" * 1000)[10:20]


def test_file_in_a_bucket_that_is_packed_is_asked_for_as_a_whole(settings, s3_server, transport):
    settings.STORAGES = settings.STORAGES | {"packed": bucket(s3_server, gzip=True)}
    transport.create("packed", "a.txt", b"content" * 1000)

    def remember(parsed, **kwargs):
        parsed["ContentEncoding"] = "gzip"  # which this server does not

    storages["packed"].connection.meta.client.meta.events.register("after-call.s3.HeadObject", remember)
    part = transport.open_part("packed", "a.txt", 5, 10)
    part.stream.close()  # django-storages does not close all that it opens to unpack a file
    assert part.version is None


class Decrypting(FileSystemStorage):
    """Makes something else of the files on its disk: beside it, or in memory."""

    place = None

    def _open(self, name, mode="rb"):
        with super()._open(name, mode) as file:
            content = file.read().swapcase()
        if self.place is None:
            return ContentFile(content)
        self.place.write_bytes(content)
        return File(self.place.open("rb"))


@pytest.mark.parametrize("place", [None, "decrypted"])
def test_file_on_a_disk_that_is_decrypted_is_read_as_a_whole(add_storage, transport, tmp_path, monkeypatch, place):
    monkeypatch.setattr(Decrypting, "place", place and tmp_path / place)
    add_storage("decrypting", f"{HERE}Decrypting", location=tmp_path)
    (tmp_path / "a.txt").write_bytes(b"SECRET")
    part = transport.open_part("decrypting", "a.txt", 0, 3)
    with part.stream as stream:
        assert (stream.read(), part.version) == (b"secret", None)


def test_file_on_a_disk_that_is_cut_while_it_is_read_is_an_error(add_disk, transport):
    disk = add_disk("disk")
    (disk / "a.bin").write_bytes(bytes(1_000_000))
    with transport.open_part("disk", "a.bin", 0, None).stream as stream:
        stream.read(10)
        os.truncate(disk / "a.bin", 300_000)
        with pytest.raises(StorageError, match="cut short"):
            stream.read()


# Names.


class NeverOverwriting(InMemoryStorage):
    """As most storages are, and without files on a disk."""


class Renaming(InMemoryStorage):
    def _save(self, name, content):
        return super()._save(f"{name}.bin", content)


def test_file_gets_exactly_its_name_where_storages_do_not_overwrite(add_storage, transport):
    add_storage("memory", f"{HERE}NeverOverwriting")
    for content in (b"old", b"new"):
        transport.create("memory", "a/b.txt", content)
    assert storages["memory"].listdir("a") == ([], ["b.txt"])
    assert transport.content("memory", "a/b.txt") == b"new"


class Reading(InMemoryStorage):
    """Reads from where the file stands."""

    def _save(self, name, content):
        return super()._save(name, ContentFile(content.read()))


def test_file_is_sent_from_its_start_however_a_storage_reads_it(add_storage, transport):
    add_storage("reading", f"{HERE}Reading")
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    transport.create("reading", "a.txt", file)
    assert transport.content("reading", "a.txt") == b"0123456789"


def test_storage_that_gives_files_other_names_is_no_host(add_storage, transport):
    add_storage("renaming", f"{HERE}Renaming")
    with pytest.raises(StorageError, match=r"it was stored as 'a\.txt\.bin', and deleted again"):
        transport.create("renaming", "a.txt", b"1")
    assert storages["renaming"].listdir("") == ([], [])


@pytest.mark.parametrize("options", [{}, {"allow_overwrite": True}])
def test_disk_keeps_the_old_file_if_the_new_one_cannot_be_read(add_disk, transport, options):
    disk = add_disk("disk", **options)
    transport.create("disk", "a.txt", b"old")

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError("the master copy cannot be read")
            return super().read(5)

    with pytest.raises(OSError, match="the master copy cannot be read") as caught:
        transport.create("disk", "a.txt", Broken(b"0123456789"))
    assert not isinstance(caught.value, TransportError)
    assert [path.name for path in disk.iterdir()] == ["a.txt"]
    assert (disk / "a.txt").read_bytes() == b"old"


def test_modes_of_files_are_those_of_the_storage(add_disk, transport):
    disk = add_disk("disk", file_permissions_mode=0o640)
    transport.create("disk", "a.txt", b"1")
    assert (disk / "a.txt").stat().st_mode & 0o777 == 0o640


def test_empty_directory_of_that_name_is_not_deleted(add_disk, transport):
    """Django's own storage would."""
    (add_disk("disk") / "a").mkdir()
    assert transport.exists("disk", "a") is False
    for act in (lambda: transport.delete("disk", "a"), lambda: transport.create("disk", "a", b"1")):
        with pytest.raises(StorageError, match="IsADirectoryError"):
            act()
    with pytest.raises(RemoteFileNotFoundError):
        transport.size("disk", "a")


def test_empty_directory_is_one(add_disk, add_storage, transport):
    add_storage("memory", "django.core.files.storage.InMemoryStorage")
    add_disk("disk")
    for host in ("memory", "disk"):
        transport.create(host, "d/a.txt", b"1")
        transport.delete(host, "d/a.txt")
        assert transport.listdir(host, "d") == ([], [])


def test_directories_are_removed_where_a_storage_has_some(add_disk, add_storage, transport):
    disk = add_disk("disk")
    add_storage("memory", "django.core.files.storage.InMemoryStorage")
    for host in ("disk", "memory"):
        transport.create(host, ".resto-0123/d/a.txt", b"1")
    assert transport.remove_directory("disk", ".resto-0123") is True
    assert [*disk.iterdir()] == []
    assert transport.remove_directory("memory", ".resto-0123") is False
    assert transport.exists("memory", ".resto-0123/d/a.txt")
    with pytest.raises(ValueError, match="'photos' may be a directory of the site"):
        transport.remove_directory("disk", "photos")


def test_disk_alone_has_a_path(add_disk, add_storage, transport):
    disk = add_disk("disk")
    add_storage("memory", "django.core.files.storage.InMemoryStorage")
    add_storage("wrong", "missing.Storage")
    assert [transport.local_path(host) for host in ("disk", "memory", "wrong")] == [str(disk), None, None]


def test_unfinished_upload_is_not_listed(add_disk, transport):
    disk = add_disk("disk")
    (disk / ".resto-0123").write_bytes(b"half")
    assert transport.listdir("disk", "") == ([], [])
    assert ".resto-0123" in transport.browse("disk", "").others


# Failures.


class Failing(Storage):
    """Fails in the way that it is told."""

    def __init__(self, error, **options):
        self.error = error

    def fail(self, *args):
        raise self.error

    _open = _save = exists = size = delete = listdir = get_modified_time = fail


def actions(transport, host):
    yield "download", lambda: transport.open(host, "a.txt")
    yield "exists", lambda: transport.exists(host, "a.txt")
    yield "size", lambda: transport.size(host, "a.txt")
    yield "modified_time", lambda: transport.modified_time(host, "a.txt")
    yield "upload", lambda: transport.create(host, "a.txt", b"1")
    yield "delete", lambda: transport.delete(host, "a.txt")
    yield "listdir", lambda: transport.listdir(host, "")


class CustomError(Exception):
    pass


def made_of(origin):
    try:
        try:
            raise origin
        except Exception:  # noqa: BLE001 - as packages do it, too
            raise CustomError("three times")  # noqa: B904 - as packages do it
    except CustomError as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (CustomError("no more space"), StorageError, "the storage has failed: CustomError: no more space"),
        (CustomError(), StorageError, "the storage has failed: CustomError"),
        (PermissionError(13, "denied"), StorageError, "the storage has failed: PermissionError: [Errno 13] denied"),
        (ConnectionRefusedError("no"), HostUnavailableError, "it gives no answer: ConnectionRefusedError: no"),
        (TimeoutError(), HostUnavailableError, "it gives no answer: TimeoutError"),
        (OSError(113, "No route"), HostUnavailableError, "it gives no answer: OSError: [Errno 113] No route"),
        (made_of(ConnectionResetError()), HostUnavailableError, "it gives no answer: CustomError: three times"),
        (made_of(ValueError()), StorageError, "the storage has failed: CustomError: three times"),
    ],
)
def test_error_of_any_kind_is_one_of_the_host(add_storage, transport, error, kind, text):
    add_storage("failing", f"{HERE}Failing", error=error)
    for action, act in actions(transport, "failing"):
        with pytest.raises(TransportError) as caught:
            act()
        told = caught.value
        assert (type(told), told.host, told.action, told.problem) == (kind, "failing", action, text)
        assert told.__cause__ is error
        assert type(pickle.loads(pickle.dumps(told))) is kind
        if kind is HostUnavailableError:
            assert told.ambiguous is (action in ("upload", "delete"))


class Hanging(Storage):
    def size(self, name):
        raise TimeoutError

    def exists(self, name):
        pytest.fail("it was asked again")


def test_storage_that_hangs_is_not_asked_for_the_reason(add_storage, transport):
    add_storage("hanging", f"{HERE}Hanging")
    with pytest.raises(HostUnavailableError):
        transport.size("hanging", "a.txt")


def test_storage_that_cannot_be_made_is_a_failure_of_the_host(add_storage, transport):
    add_storage("missing", "no.such.Storage")
    for _, act in actions(transport, "missing"):
        with pytest.raises(StorageError, match="no"):
            act()


class Odd(InMemoryStorage):
    """Does not say in Django's way that a file is missing."""

    def size(self, name):
        raise CustomError("404")

    _open = get_modified_time = size

    def delete(self, name):
        raise FileNotFoundError(name)


def test_file_that_is_missing_is_so_however_a_storage_says_it(add_storage, transport):
    add_storage("odd", f"{HERE}Odd")
    for read in (transport.open, transport.size, transport.modified_time):
        with pytest.raises(RemoteFileNotFoundError):
            read("odd", "a.txt")
    assert transport.delete("odd", "a.txt") is False


class WithoutLists(InMemoryStorage):
    def listdir(self, path):
        raise NotImplementedError


def test_storage_that_cannot_list(add_storage, transport):
    add_storage("unlisted", f"{HERE}WithoutLists")
    assert transport.browse("unlisted", "") is None
    with pytest.raises(StorageError, match="cannot list its files"):
        transport.listdir("unlisted", "")


class BreakingOff(InMemoryStorage):
    def _open(self, name, mode="rb"):
        class Content(io.BytesIO):
            def read(self, size=-1):
                raise ConnectionResetError("gone")

        return File(Content(), name)


def test_download_that_breaks_off(add_storage, transport):
    add_storage("breaking", f"{HERE}BreakingOff")
    with transport.open("breaking", "a.txt") as stream, pytest.raises(HostUnavailableError, match="gone") as caught:
        stream.read()
    assert (caught.value.host, caught.value.name, caught.value.action) == ("breaking", "a.txt", "download")


def test_time_without_a_zone_is_that_of_the_site(add_disk, transport, settings):
    settings.USE_TZ = False
    disk = add_disk("disk")
    (disk / "a.txt").write_bytes(b"1")
    assert transport.modified_time("disk", "a.txt").timestamp() == pytest.approx((disk / "a.txt").stat().st_mtime)


@pytest.mark.parametrize(
    "options",
    [
        {"password": "hunter2%"},
        {"params": {"SECRET": ["hunter2%"]}},
        {"location": "ftp://media:hunter2%25@backup/"},
    ],
)
def test_secret_of_a_storage_is_not_shown(add_storage, transport, options):
    error = made_of(CustomError("ftp://media:hunter2%25@backup/ refuses hunter2%"))
    error.args = ("cannot log in with hunter2%",)
    add_storage("failing", f"{HERE}Failing", error=error, **options)
    with pytest.raises(StorageError) as caught:
        transport.size("failing", "a.txt")
    assert caught.value.problem == "the storage has failed: CustomError: cannot log in with ***"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_secret_of_the_settings_is_not_shown(add_storage, transport, settings):
    settings.AWS_SECRET_ACCESS_KEY = "hunter2"
    add_storage("failing", f"{HERE}Failing", error=CustomError("hunter2"))
    with pytest.raises(StorageError, match=r"CustomError: \*\*\*"):
        transport.size("failing", "a.txt")


# Settings.


@pytest.fixture
def use(add_storage):
    """Name a storage of resto in ``STORAGES``, whose hosts are storages."""

    def use(alias, *hosts, backend="HybridStorage", **options):
        add_storage(alias, f"resto.storage.{backend}", hosts=[*hosts], transport="storage", **options)
        return storages[alias]

    return use


def test_plugin_is_found_by_name():
    assert get_plugin_manager().transport("storage") is StorageTransport


def test_host_that_is_no_alias_is_named(use, add_disk):
    add_disk("disk")
    (problem,) = use("default", "disk", "dusk").problems()
    assert isinstance(problem, ConfigurationError)
    assert problem.problem == "STORAGES has no 'dusk', which is a host of the transport 'storage'"
    assert problem.hint == "It has: default, staticfiles, disk."
    assert problem.code == "E003"


def test_check_names_it(use, settings):
    use("default", "dusk")
    others = [name for name in settings.INSTALLED_APPS if name != "resto"]
    with override_settings(INSTALLED_APPS=[*others, "resto"]):
        found = checks.run_checks(tags=[checks.Tags.files])
    (message,) = [one for one in found if one.id == "resto.E003"]
    assert message.level == checks.ERROR
    assert message.msg.startswith("STORAGES['default']: STORAGES has no 'dusk'")


def test_storage_cannot_be_its_own_host(use):
    (problem,) = use("default", "default").problems()
    assert problem.problem == "files of STORAGES['default'] would be stored in STORAGES['default'] again, without end"


def test_storages_cannot_be_hosts_of_each_other(use, add_disk):
    add_disk("disk")
    for alias, hosts in {"a": ["disk", "b"], "b": ["c"], "c": ["disk", "a"], "outside": ["b", "disk"]}.items():
        use(alias, *hosts)
    for alias in ("a", "b", "c", "outside"):
        assert any("without end" in problem.problem for problem in storages[alias].problems())


def test_two_storages_may_share_a_host(use, add_disk, add_storage):
    add_disk("disk")
    add_storage("wrong", "resto.storage.HybridStorage", no="option")
    assert use("b", "disk", "wrong").problems() == []
    assert use("a", "disk", "b").problems() == []


# Whole storages.


@pytest.fixture(autouse=True)
def media_root(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


def test_files_are_mirrored_to_a_disk_and_to_a_bucket(use, add_disk, settings, s3_server):
    disk = add_disk("disk")
    settings.STORAGES = settings.STORAGES | {"s3": bucket(s3_server, location="mirror")}
    storage = use("default", "s3", "disk")
    assert isinstance(storage, HybridStorage)
    name = storage.save("photos/summer.jpg", ContentFile(b"content" * 100_000))
    assert (disk / name).read_bytes() == b"content" * 100_000
    with storages["s3"].open(name) as file:
        assert file.read() == b"content" * 100_000
    storage.delete(name)
    assert not (disk / name).exists()
    assert not storages["s3"].exists(name)


def test_failed_save_is_undone(use, add_disk):
    disk, unmounted = add_disk("disk"), add_disk("unmounted")
    unmounted.rmdir()
    storage = use("default", "disk", "unmounted")
    with pytest.raises(ReplicationError, match="Is its file system mounted"):
        storage.save("a.txt", ContentFile(b"1"))
    assert not storage.exists("a.txt")
    assert [*disk.iterdir()] == []


def test_difference_is_found_and_repaired(use, add_disk):
    disk = add_disk("disk")
    storage = use("default", "disk")
    for name in ("a.txt", "d/b.txt", "d/c.txt"):
        storage.save(name, ContentFile(name.encode()))
    (disk / "a.txt").unlink()
    (disk / "d" / "b.txt").write_bytes(b"D/B.TXT")
    events = []
    report = synchronize(storage, SyncOptions(checksum=True), events.append)
    assert {(event.kind, event.name, event.state) for event in events} == {
        ("missing", "a.txt", "repaired"),
        ("different", "d/b.txt", "repaired"),
    }
    assert report.agrees
    assert (disk / "d" / "b.txt").read_bytes() == b"d/b.txt"


def test_files_may_be_in_storages_only(use, add_disk, add_storage):
    add_disk("disk")
    add_storage("memory", "django.core.files.storage.InMemoryStorage")
    storage = use("default", "disk", "memory", backend="DistributedStorage")
    assert isinstance(storage, DistributedStorage)
    storage.save("d/a.txt", ContentFile(b"1"))
    storages["disk"].delete("d/a.txt")
    assert storage.exists("d/a.txt")
    with storage.open("d/a.txt") as file:
        assert file.read() == b"1"
    assert storage.size("d/a.txt") == 1
    assert storage.get_modified_time("d/a.txt").tzinfo is not None
    assert storage.listdir("d")[1] in (["a.txt"], [])


def test_media_servers_and_a_disk_are_hosts_of_one_storage(use, add_disk, add_storage, resto_server_factory):
    """The media servers are a host together: that of a storage which speaks WebDAV to them."""
    disk = add_disk("disk")
    servers = [resto_server_factory() for _ in range(2)]
    hosts = [server.url for server in servers]
    add_storage("servers", "resto.storage.DistributedStorage", hosts=hosts, transport="webdav")
    storage = use("default", "servers", "disk")
    storage.save("d/a.txt", ContentFile(b"1"))
    assert [dict(server.files) for server in servers] == [{"d/a.txt": b"1"}] * 2
    assert (disk / "d" / "a.txt").read_bytes() == b"1"
    servers[1].refuse_code = 500
    with pytest.raises(ReplicationError, match=r"servers: the storage has failed: ReplicationError"):
        storage.delete("d/a.txt")
    servers[1].refuse_code = None
    storage.remove("servers", "d/a.txt")
    assert [dict(server.files) for server in servers] == [{}] * 2
