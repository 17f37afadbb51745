"""What Django's storage API promises, kept by each of the three storages."""

import copy
import io
import json
import pickle
import pickletools
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, TemporaryUploadedFile
from django.core.management import call_command
from django.db import migrations, models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings
from django.test.utils import isolate_apps
from django.utils.functional import lazystr
from django.utils.timezone import is_aware

from kit.memory import collecting_left
from resto.exceptions import ReplicationError
from resto.executors import Job
from resto.master.snapshots import Snapshot
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.storage.files import SharedContent


STORAGES = [HybridStorage, AsyncStorage, DistributedStorage]
BASE_URL = "https://media.example.com/media/"
ODD_NAME = "à b/c#d?e%20f&g+h;i=j:k@l'(m).txt"


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(), resto_server_factory()]


@pytest.fixture(params=STORAGES)
def storage_class(request):
    return request.param


@pytest.fixture
def storage(storage_class, servers, media_root):
    return storage_class(urls(servers), BASE_URL, transport="webdav", executor="inline")


def urls(servers):
    return [server.url for server in servers]


def writes(servers):
    return [request for server in servers for request in server.requests if request.method not in ("GET", "HEAD")]


# Saving.


def test_save_puts_the_file_on_every_host(storage, servers):
    assert storage.save("a/b.txt", ContentFile(b"content")) == "a/b.txt"

    assert [dict(server.files) for server in servers] == [{"a/b.txt": b"content"}] * 2


def test_save_under_a_name_that_is_taken_replicates_the_name_that_it_returns(storage, servers):
    storage.save("a.txt", ContentFile(b"first"))
    name = storage.save("a.txt", ContentFile(b"second"))

    assert name != "a.txt"
    assert [dict(server.files) for server in servers] == [{"a.txt": b"first", name: b"second"}] * 2


@pytest.mark.parametrize("executor", ["thread", "inline"])
@pytest.mark.parametrize("fatal", [False, True])
@pytest.mark.parametrize("fault", ["readonly", "refuse"])
def test_failed_save_leaves_nothing_in_memory(storage_class, servers, media_root, fault, fatal, executor):
    storage = storage_class(urls(servers), BASE_URL, fatal_exceptions=fatal, executor=executor)
    setattr(servers[0], fault, True)

    with collecting_left(ContentFile, SharedContent, Snapshot) as left:
        for name in ("a.txt", "b.txt", "c.txt"):
            with suppress(ReplicationError):
                storage.save(name, ContentFile(b"content"))
            # What was submitted before comes first.
            storage.executor.run([Job("wait", host, name, int) for host in storage.hosts])

    assert left == []


class Unseekable(io.RawIOBase):
    def __init__(self, content):
        self.stream = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.stream.readinto(buffer)


def moved_to_its_end(content):
    content.seek(0, io.SEEK_END)
    return content


@pytest.mark.parametrize(
    "make",
    [
        lambda: io.BytesIO("é".encode()),
        lambda: io.StringIO("é"),
        lambda: ContentFile("é"),
        lambda: moved_to_its_end(io.BytesIO("é".encode())),
        lambda: moved_to_its_end(ContentFile("é".encode())),
        lambda: Unseekable("é".encode()),
        lambda: SimpleUploadedFile("x", "é".encode()),
        lambda: moved_to_its_end(InMemoryUploadedFile(io.BytesIO("é".encode()), "f", "x", "text/plain", 2, None)),
    ],
    ids=[
        "bytes",
        "text",
        "text file",
        "at its end",
        "file at its end",
        "unseekable",
        "uploaded",
        "uploaded at its end",
    ],
)
def test_content_is_saved_whole_and_stays_open(storage, servers, make):
    content = make()

    storage.save("a.txt", content)

    assert not content.closed
    assert [server.get_file("a.txt") for server in servers] == ["é".encode()] * 2


def test_a_temporary_upload_is_saved(storage, servers):
    with TemporaryUploadedFile("a.txt", "text/plain", 3, None) as content:
        content.write(b"abc")
        content.flush()

        storage.save("a.txt", content)

    assert [server.get_file("a.txt") for server in servers] == [b"abc"] * 2


def test_an_empty_file_is_saved(storage, servers):
    storage.save("a.txt", ContentFile(b""))

    assert [server.get_file("a.txt") for server in servers] == [b""] * 2


def test_save_without_a_name_uses_that_of_the_content(storage, servers):
    assert storage.save(None, ContentFile(b"", name="a.txt")) == "a.txt"
    assert servers[0].has_file("a.txt")


def test_save_keeps_to_max_length(storage, servers):
    storage.save("abcdefghijkl.txt", ContentFile(b""))

    name = storage.save("abcdefghijkl.txt", ContentFile(b""), max_length=15)

    assert len(name) == 15
    assert all(server.has_file(name) for server in servers)


def test_max_length_that_leaves_nothing_of_the_name_is_refused(storage, servers):
    with pytest.raises(SuspiciousFileOperation):
        storage.save("a.abcdefghijkl", ContentFile(b""), max_length=5)

    assert writes(servers) == []


BAD_NAMES = {
    "empty": "",
    "absolute": "/etc/passwd",
    "parent": "../a.txt",
    "inner parent": "a/../../b.txt",
    "root": ".",
    "NUL": "a\0b",
    "CR": "a\rb",
    "LF": "a\nb",
    "surrogate": "a\udc80b",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
@pytest.mark.parametrize(
    "act",
    [
        lambda storage, name: storage.save(name, ContentFile(b"")),
        lambda storage, name: storage._save(name, ContentFile(b"")),
        lambda storage, name: storage.open(name, "wb"),
    ],
    ids=["save", "_save", "open"],
)
def test_bad_name_is_refused_before_anything_is_written(storage, servers, media_root, act, name):
    with pytest.raises((ValueError, SuspiciousFileOperation, IsADirectoryError, io.UnsupportedOperation)):
        act(storage, name)

    assert [server.requests for server in servers] == [[], []]
    assert not media_root.exists()


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_bad_name_is_never_deleted_from_hosts(storage, servers, media_root, name):
    """The master copy may have a file of a name that no host can have."""
    with suppress(ValueError, SuspiciousFileOperation):
        storage.delete(name)

    assert [server.requests for server in servers] == [[], []]
    assert not media_root.exists()


def test_nothing_is_deleted_without_a_name(storage):
    with pytest.raises(ValueError, match=re.escape("The name must be given to delete().")):
        storage.delete("")


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128 + "/b", "a/" + "é" * 128, ".resto-0123"])
def test_name_that_cannot_be_stored_is_refused_before_anything_is_written(storage, servers, media_root, name):
    with pytest.raises((OSError, SuspiciousFileOperation), match=r"File name too long|a name of resto.s own files"):
        storage.save(name, ContentFile(b""))

    assert writes(servers) == []
    assert not media_root.exists()


def test_name_with_odd_characters_survives(storage, servers):
    name = storage.save(ODD_NAME, ContentFile(b"content"))

    assert name == ODD_NAME
    assert [list(server.files) for server in servers] == [[ODD_NAME]] * 2
    with storage.open(ODD_NAME) as file:
        assert file.read() == b"content"
    storage.delete(ODD_NAME)
    assert [list(server.files) for server in servers] == [[]] * 2


def test_backslashes_count_as_slashes_in_a_save(storage, servers):
    assert storage.save("a\\b.txt", ContentFile(b"")) == "a/b.txt"
    assert servers[0].has_file("a/b.txt")


def test_generated_filename_can_be_saved(storage, servers):
    name = storage.generate_filename("some dir/my file?.txt")

    assert storage.save(name, ContentFile(b"")) == "some dir/my_file.txt"


# Reading.


def test_open_gives_a_file_as_django_knows_them(storage):
    storage.save("a.txt", ContentFile(b"line 1\nline 2\n"))

    with storage.open("a.txt") as file:
        assert isinstance(file, File)
        assert (file.size, file.mode, file.closed) == (14, "rb", False)
        assert list(file) == [b"line 1\n", b"line 2\n"]
        assert file.seek(-3, io.SEEK_END) == 11
        assert file.read() == b" 2\n"
        assert list(file.chunks(7)) == [b"line 1\n", b"line 2\n"]
        assert not file.writable()


def test_file_opens_again_after_it_was_closed(storage):
    storage.save("a.txt", ContentFile(b"content"))
    file = storage.open("a.txt")
    file.close()

    with file.open() as again:
        assert again.read() == b"content"


@pytest.mark.parametrize("mode", ["r", "rt"])
def test_open_as_text(storage, mode):
    storage.save("a.txt", ContentFile("é\n"))

    with storage.open("a.txt", mode) as file:
        assert file.read() == "é\n"


@pytest.mark.parametrize(
    "read",
    [
        lambda storage: storage.open("missing/a.txt"),
        lambda storage: storage.size("missing/a.txt"),
        lambda storage: storage.get_modified_time("missing/a.txt"),
        lambda storage: storage.listdir("missing"),
    ],
    ids=["open", "size", "modified time", "listdir"],
)
def test_what_is_missing_is_a_file_not_found_error(storage, caplog, read):
    with pytest.raises(FileNotFoundError):
        read(storage)

    assert caplog.records == []


NO_NAMES = [None, 0, 5, 1.5, True, b"", b"a", object, ["a"], {}]
WITH_A_NAME = ["delete", "exists", "open", "size", "listdir", "get_modified_time"]


@pytest.mark.parametrize("action", WITH_A_NAME)
@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_is_no_name_is_refused_as_by_django(storage, servers, tmp_path, action, name):
    """It may read as that of a file: 5 as "5", and None as "None"."""
    with pytest.raises((TypeError, ValueError)) as wanted:
        getattr(FileSystemStorage(tmp_path), action)(name)
    with pytest.raises(wanted.type):
        getattr(storage, action)(name)

    assert [server.requests for server in servers] == [[], []]


@pytest.mark.parametrize("name", [PurePosixPath("d/5"), PurePosixPath("5")])
def test_path_is_a_name(storage, name):
    assert storage.save(name, ContentFile(b"content")) == str(name)
    assert storage.exists(name)
    with storage.open(name) as file:
        assert file.read() == b"content"
    storage.delete(name)
    assert not storage.exists(name)


def test_listdir_of_a_file(storage):
    storage.save("d/a.txt", ContentFile(b""))

    with pytest.raises(NotADirectoryError):
        storage.listdir("d/a.txt")


def test_listing_that_no_host_gives_is_none_of_a_file(servers):
    for server in servers:
        server.refuse = True
    with pytest.raises(ReplicationError, match=r"listdir of 'd/a\.txt'"):
        DistributedStorage(urls(servers), BASE_URL, transport="webdav").listdir("d/a.txt")


@pytest.mark.parametrize("name", ["d/" + "x" * 256, "x" * 300 + "/a", "d/" + "日本語" * 30])
def test_no_file_has_a_name_that_is_too_long(storage, servers, name):
    assert not storage.exists(name)
    for read in (storage.size, storage.open, storage.get_modified_time):
        with pytest.raises(OSError, match=r"File name too long|No such file"):
            read(name)
    with pytest.raises(OSError, match="File name too long"):
        storage.save(name, ContentFile(b""))
    assert [server.requests for server in servers] == [[], []]


@pytest.mark.parametrize("name", ["d/" + "x" * 300 + ".txt", "d/" + "日本語" * 30 + ".txt"])
def test_name_that_is_too_long_is_made_shorter(storage, servers, name):
    saved = storage.save(name, ContentFile(b"1"), max_length=60)

    assert (len(saved) <= 60, saved[:3], saved[-4:]) == (True, name[:3], ".txt")
    assert [list(server.files) for server in servers] == [[saved], [saved]]
    assert not any(name[:70] in request.path for server in servers for request in server.requests)


def test_exists_follows_save_and_delete(storage):
    assert not storage.exists("a.txt")
    storage.save("a.txt", ContentFile(b""))
    assert storage.exists("a.txt")
    storage.delete("a.txt")
    assert not storage.exists("a.txt")


def test_the_root_exists(storage, media_root):
    media_root.mkdir()

    assert storage.exists("")


def test_size(storage):
    storage.save("a.txt", ContentFile("é"))

    assert storage.size("a.txt") == 2


def test_listdir(storage):
    storage.save("a/b.txt", ContentFile(b""))
    storage.save("a/c/d.txt", ContentFile(b""))

    assert storage.listdir("a") == (["c"], ["b.txt"])
    assert storage.listdir("") == (["a"], [])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_modified_time_is_aware_with_use_tz(storage, settings, zone):
    settings.USE_TZ, settings.TIME_ZONE = True, zone
    before = datetime.now(UTC)
    storage.save("a.txt", ContentFile(b""))

    moment = storage.get_modified_time("a.txt")

    assert is_aware(moment)
    assert before - timedelta(seconds=5) < moment < datetime.now(UTC) + timedelta(seconds=5)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_modified_time_is_local_and_naive_without_use_tz(storage, settings, zone):
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    before = datetime.now()
    storage.save("a.txt", ContentFile(b""))

    moment = storage.get_modified_time("a.txt")

    assert not is_aware(moment)
    assert before - timedelta(seconds=5) < moment < datetime.now() + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.txt", "a.txt"),
        ("a b/é.txt", "a%20b/%C3%A9.txt"),
        ("a?b#c%d.txt", "a%3Fb%23c%25d.txt"),
        ("a:b.txt", "a%3Ab.txt"),
        ("/a.txt", "a.txt"),
        ("a\\b.txt", "a/b.txt"),
        (None, ""),
    ],
)
def test_url_escapes_the_name(storage, name, path):
    assert storage.url(name) == BASE_URL + path


def test_base_url_gets_a_slash(storage_class, servers):
    assert storage_class(urls(servers), "/files").url("a.txt") == "/files/a.txt"


# Deleting.


def test_delete_removes_the_file_from_every_host(storage, servers):
    storage.save("a/b.txt", ContentFile(b""))

    storage.delete("a/b.txt")

    assert [dict(server.files) for server in servers] == [{}, {}]


def test_delete_of_a_missing_file_is_no_error(storage, servers, media_root):
    media_root.mkdir()

    storage.delete("a.txt")

    assert [{status for _, _, status in server.log} for server in servers] == [{404}] * 2


# Where storages are used.


def test_storage_is_true(storage):
    assert storage


def test_storage_of_the_setting_storages(storage_class, servers, media_root):
    options = {"hosts": urls(servers), "transport": "webdav", "executor": "inline"}
    backend = f"resto.storage.{storage_class.__name__}"

    with override_settings(STORAGES={"default": {"BACKEND": backend, "OPTIONS": options}}):
        storages["default"].save("a.txt", ContentFile(b""))

    assert all(server.has_file("a.txt") for server in servers)


def test_storage_without_arguments_follows_the_settings(storage_class, servers, media_root, settings):
    storage = storage_class()
    settings.RESTO_EXECUTOR, settings.MEDIA_URL = "inline", "/first/"
    for server in servers:
        settings.RESTO_MEDIA_HOSTS = [server.url]
        storage.save("a.txt", ContentFile(b""))
        storage.delete("a.txt")

    for server in servers:
        assert [method for method, path, _ in server.log if path == "/a.txt" and method != "HEAD"] == ["PUT", "DELETE"]
    assert storage.url("a") == "/first/a"
    settings.MEDIA_URL = "/second/"
    assert storage.url("a") == "/second/a"


@pytest.mark.parametrize("media_url", ["/files/", "http://media.example.com/files/"])
def test_host_without_a_scheme_keeps_files_below_the_path_of_base_url(
    storage_class, resto_server_factory, media_root, media_url
):
    server = resto_server_factory(webdav=False)

    storage_class([server.address], media_url, executor="inline").save("a.txt", ContentFile(b""))

    assert list(server.files) == ["files/a.txt"]


def test_subclass_gives_its_own_options(storage_class, servers, media_root):
    class Photos(storage_class):
        def __init__(self):
            super().__init__(urls(servers), executor="inline")

    Photos().save("a.jpg", ContentFile(b""))

    assert all(server.has_file("a.jpg") for server in servers)


@pytest.fixture
def document(storage):
    """An instance of a model with a file, and no table."""
    with isolate_apps("resto"):

        class Document(models.Model):  # noqa: DJ008 - nobody shows it
            file = models.FileField(upload_to="docs", storage=storage, max_length=20)

            class Meta:
                app_label = "resto"

        return Document()


def test_file_field_saves_reads_and_deletes(document, servers):
    document.file.save("a b.txt", ContentFile(b"content"), save=False)

    assert document.file.name == "docs/a_b.txt"
    assert (document.file.read(), document.file.size) == (b"content", 7)
    assert servers[0].get_file("docs/a_b.txt") == b"content"
    document.file.delete(save=False)
    assert [dict(server.files) for server in servers] == [{}, {}]


def test_migration_shows_how_to_build_the_storage_and_no_secret(storage_class, settings):
    settings.RESTO_SECRETS = {"media": ("user", "do-not-tell")}
    storage = storage_class(
        ["https://media-1.example.com/"], transport="webdav", transport_options={"auth": "media"}, timeout=3
    )
    field = models.FileField(storage=storage)
    operation = migrations.AddField("document", "file", field)
    migration = type("Migration", (migrations.Migration,), {"operations": [operation], "dependencies": []})

    text = MigrationWriter(migration("0001", "app")).as_string()

    assert f"resto.storage.{storage_class.__name__}(" in text
    assert "do-not-tell" not in text
    namespace = {}
    exec(compile(text, "migration", "exec"), namespace)
    rebuilt = namespace["Migration"].operations[0].field.storage
    assert rebuilt.deconstruct() == storage.deconstruct()


def test_deconstruct_gives_what_was_passed(storage_class):
    path, args, kwargs = storage_class(["media-1"], BASE_URL, timeout=1).deconstruct()

    assert (path, list(args), kwargs) == (
        f"resto.storage.{storage_class.__name__}",
        [["media-1"], BASE_URL],
        {"timeout": 1},
    )
    assert json.loads(json.dumps([args, kwargs])) == [[["media-1"], BASE_URL], {"timeout": 1}]


class Thumbnails(HybridStorage):
    pass


def test_deconstruct_of_a_subclass_names_the_subclass():
    assert Thumbnails().deconstruct()[0].endswith("test_storage.Thumbnails")


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda storage: pickle.loads(pickle.dumps(storage))])
def test_copy_works_like_the_original(storage, servers, clone):
    storage.save("a.txt", ContentFile(b""))  # so that it has connections

    twin = clone(storage)
    twin.save("b.txt", ContentFile(b""))

    assert type(twin) is type(storage)
    assert all(server.has_file("b.txt") for server in servers)


def test_pickle_names_public_paths_only(storage):
    """It may wait in a queue for longer than a version lasts."""
    named = pickletools.genops(pickle.dumps(storage.remove))
    modules = {text for _, text, _ in named if str(text).startswith("resto.")}
    assert modules == {"resto.storage"}


def test_bound_methods_pickle(storage, media_root):
    media_root.mkdir()
    func, host = pickle.loads(pickle.dumps((storage.remove, storage.hosts[0])))

    assert func(host, "a.txt") is False


def test_construction_evaluates_nothing_lazy_and_sends_nothing(storage_class, servers):
    evaluated = []

    class Text(str):
        __slots__ = ()

        def __str__(self):
            evaluated.append(self)
            return "/media/"

    storage = storage_class(urls(servers), lazystr(Text("/media/")))

    assert evaluated == []
    assert [server.requests for server in servers] == [[], []]
    assert storage.url("a") == "/media/a"


def test_construction_with_bad_options_waits_for_their_use(storage_class):
    storage_class("no list", transport="missing", executor="missing", timeout=-1)


def test_unknown_option_is_refused_with_the_known_ones(storage_class):
    with pytest.raises(TypeError, match=r"has no option tiemout; it has hosts, base_url, .*timeout"):
        storage_class(tiemout=1)


class ManifestStorage(ManifestFilesMixin, HybridStorage):
    pass


class DistributedManifestStorage(ManifestFilesMixin, DistributedStorage):
    pass


@pytest.mark.parametrize("manifest_class", [ManifestStorage, DistributedManifestStorage])
def test_collectstatic_with_hashed_names(manifest_class, servers, tmp_path, settings, media_root):
    source = tmp_path / "source"
    (source / "img").mkdir(parents=True)
    (source / "img" / "dot.svg").write_bytes(b"<svg/>")
    (source / "site.css").write_text("a { background: url(img/dot.svg) }")
    settings.INSTALLED_APPS = ["django.contrib.staticfiles", "resto"]
    settings.STATICFILES_DIRS, settings.STATICFILES_FINDERS = (
        [source],
        ["django.contrib.staticfiles.finders.FileSystemFinder"],
    )
    settings.STATIC_URL = "/static/"
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": {
            "BACKEND": f"{__name__}.{manifest_class.__name__}",
            "OPTIONS": {"hosts": urls(servers), "base_url": "/static/", "transport": "webdav"},
        },
    }
    for _ in range(2):  # the second time, it replaces and deletes
        call_command("collectstatic", interactive=False, verbosity=0)
        (source / "site.css").write_text("b { background: url(img/dot.svg) }")

    first, second = (dict(server.files) for server in servers)
    assert first == second
    paths = json.loads(first["staticfiles.json"])["paths"]
    assert paths["img/dot.svg"].encode() in first[paths["site.css"]]
    assert {"img/dot.svg", "site.css", *paths.values()} < set(first)
