"""HybridStorage: the master copy is read, the hosts follow it."""

import errno
import os
import threading
from types import SimpleNamespace

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db.models import FileField
from django.db.models.fields.files import FieldFile

from kit.hosts import try_hosts
from resto.exceptions import ConfigurationError, ReplicationError
from resto.health import FIRST_PAUSE, MAX_FAILURES
from resto.storage import HybridStorage


def address(server):
    """The address of a host; one that hangs already is not waited for."""
    return {"url": server.url, "timeout": 0.3 if server.hang else 10}


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def make(servers, media_root):
    media_root.mkdir()
    return lambda **options: HybridStorage([address(server) for server in servers], "/media/", **options)


@pytest.fixture
def storage(make):
    return make()


def master_files(media_root):
    return {str(path.relative_to(media_root)): path.read_bytes() for path in media_root.rglob("*") if path.is_file()}


# Reading is local.


def test_reading_asks_no_host(storage, servers, media_root):
    (media_root / "a").write_bytes(b"content")

    with storage.open("a") as file:
        assert file.read() == b"content"
    assert (storage.exists("a"), storage.size("a"), storage.listdir("")) == (True, 7, ([], ["a"]))
    assert storage.path("a") == str(media_root / "a")
    for time in (storage.get_accessed_time, storage.get_created_time, storage.get_modified_time):
        assert time("a") is not None
    assert [server.requests for server in servers] == [[], [], []]


def test_path_stays_inside_the_location(storage):
    with pytest.raises(Exception, match="outside of the base path"):
        storage.path("../a")


def test_location_is_an_option(make, tmp_path):
    storage = make(location=tmp_path / "other")

    storage.save("a", ContentFile(b""))

    assert storage.base_location == tmp_path / "other"
    assert storage.location == str(tmp_path / "other")
    assert (tmp_path / "other" / "a").exists()


def test_location_follows_the_settings(storage, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "other"

    storage.save("a", ContentFile(b""))

    assert master_files(tmp_path / "other") == {"a": b""}


@pytest.mark.parametrize("action", ["save", "open", "delete"])
def test_working_directory_is_never_published(make, servers, settings, media_root, tmp_path, monkeypatch, action):
    (tmp_path / "settings.py").write_text("SECRET_KEY = 'secret'")
    monkeypatch.chdir(tmp_path)
    actions = {
        "save": lambda storage: storage.save("a", ContentFile(b"")),
        "open": lambda storage: storage.open("a", "w"),
        "delete": lambda storage: storage.delete("settings.py"),
    }
    storage = make()
    settings.MEDIA_ROOT = ""

    with pytest.raises(ConfigurationError, match="MEDIA_ROOT is not set") as caught:
        actions[action](storage)

    assert caught.value.code == "E017"
    assert {path.name for path in tmp_path.iterdir()} == {"media", "settings.py"}
    assert [server.requests for server in servers] == [[], [], []]
    settings.MEDIA_ROOT = "media"
    storage.save("a", ContentFile(b""))
    assert master_files(media_root) == {"a": b""}


def test_modes_are_options(make, media_root):
    make(file_permissions_mode=0o604, directory_permissions_mode=0o705).save("a/b", ContentFile(b""))

    assert (media_root / "a").stat().st_mode & 0o777 == 0o705
    assert (media_root / "a" / "b").stat().st_mode & 0o777 == 0o604


# Saving.


@pytest.fixture
def upload(settings, media_root):
    """A temporary file of an upload, on the file system of the master copy."""
    settings.FILE_UPLOAD_TEMP_DIR = media_root.parent
    with TemporaryUploadedFile("a", "text/plain", 7, None) as content:
        content.write(b"content")
        content.flush()
        yield content


def test_a_temporary_upload_is_saved_and_removed_when_it_is_closed(storage, servers, media_root, upload):
    storage.save("a", upload)
    upload.close()

    assert master_files(media_root.parent) == {"media/a": b"content"}
    assert [server.get_file("a") for server in servers] == [b"content"] * 3


def test_a_temporary_upload_of_another_kind_is_removed_when_it_is_saved(storage, servers, media_root):
    class Received(File):
        def temporary_file_path(self):
            return self.name

    path = media_root.parent / "received"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        servers[1].refuse_code = 500
        with pytest.raises(ReplicationError, match="the save was undone"):
            storage.save("a", Received(file, str(path)))
        assert path.read_bytes() == b"content"

        servers[1].heal()
        storage.save("a", Received(file, str(path)))
    assert master_files(media_root.parent) == {"media/a": b"content"}


def test_upload_whose_save_was_undone_can_be_saved_again(storage, servers, media_root, upload):
    servers[1].refuse_code = 500
    with pytest.raises(ReplicationError, match="the save was undone"):
        storage.save("a", upload)
    assert master_files(media_root) == {}

    servers[1].heal()
    assert storage.save("a", upload) == "a"
    assert master_files(media_root) == {"a": b"content"}
    assert [dict(server.files) for server in servers] == [{"a": b"content"}] * 3


def test_name_that_is_taken_in_the_meantime_is_replaced_by_another(storage, servers, media_root):
    class Slow(ContentFile):
        def chunks(self, chunk_size=None):
            (media_root / "a.txt").write_bytes(b"theirs")
            yield b"ours"

    name = storage.save("a.txt", Slow(b""))

    assert master_files(media_root) == {"a.txt": b"theirs", name: b"ours"}
    assert [dict(server.files) for server in servers] == [{name: b"ours"}] * 3


@pytest.mark.parametrize(("root", "suffix"), [("a", ""), ("é", ".txt"), ("日", ".tar.gz")])
def test_alternative_is_made_to_fit_where_the_name_leaves_no_room(storage, servers, media_root, root, suffix):
    room = 255 - len(suffix)
    wanted = root * (room // len(root.encode())) + suffix
    (media_root / wanted).write_bytes(b"theirs")

    name = storage._save(wanted, ContentFile(b"ours"))

    assert 245 < len(name.encode()) <= 255
    assert (name[0], name.endswith(suffix)) == (root, True)
    assert servers[0].get_file(name) == b"ours"


def test_a_subclass_may_refine_what_exists(make, servers):
    class Careful(HybridStorage):
        def exists(self, name):
            return name == "a.txt" or super().exists(name)

    storage = Careful([servers[0].url], "/media/")

    assert storage.save("a.txt", ContentFile(b"")) != "a.txt"


def test_allow_overwrite_replaces_on_every_host(make, servers, media_root, caplog):
    storage = make(allow_overwrite=True)
    for content in (b"old", b"new"):
        assert storage.save("a.txt", ContentFile(content)) == "a.txt"

    assert master_files(media_root) == {"a.txt": b"new"}
    assert [dict(server.files) for server in servers] == [{"a.txt": b"new"}] * 3
    assert caplog.records == []


def test_allow_overwrite_keeps_to_max_length(make):
    with pytest.raises(Exception, match="Storage can not find an available filename"):
        make(allow_overwrite=True).save("a.abcdefgh", ContentFile(b""), max_length=3)


def test_unexpected_file_on_a_host_is_replaced_and_logged(storage, servers, caplog):
    servers[0].create_file("a.txt", b"stray")

    storage.save("a.txt", ContentFile(b"content"))

    assert servers[0].get_file("a.txt") == b"content"
    assert [record.getMessage() for record in caplog.records] == [f"PUT on existing file a.txt on {servers[0].url}."]


def test_directory_is_not_replaced(make, servers, media_root):
    (media_root / "a").mkdir()

    with pytest.raises(IsADirectoryError):
        make(allow_overwrite=True).save("a", ContentFile(b""))
    assert [path.name for path in media_root.iterdir()] == ["a"]
    assert servers[0].requests == []


# Failure.


FAULTS = {
    "refused": lambda server: setattr(server, "refuse", True),
    "hanging": lambda server: setattr(server, "hang", True),
    "read-only": lambda server: setattr(server, "readonly", True),
    "full": lambda server: setattr(server, "disk_full", True),
    "500": lambda server: setattr(server, "refuse_code", 500),
}


@pytest.mark.parametrize("break_", FAULTS.values(), ids=FAULTS)
def test_failed_save_is_undone_everywhere(make, servers, media_root, break_):
    break_(servers[1])

    with pytest.raises(
        ReplicationError, match=r"upload of 'a' failed on 1 of 3 hosts.*\(the save was undone"
    ) as caught:
        make().save("a", ContentFile(b"content"))

    assert [outcome.host for outcome in caught.value.failures] == [servers[1].url]
    assert master_files(media_root) == {}
    assert [dict(server.files) for server in servers] == [{}, {}, {}]


def test_failed_save_names_every_host_that_failed(storage, servers):
    servers[0].refuse_code = servers[2].refuse_code = 500

    with pytest.raises(ReplicationError, match="failed on 2 of 3 hosts") as caught:
        storage.save("a", ContentFile(b""))

    assert [outcome.host for outcome in caught.value.failures] == [servers[0].url, servers[2].url]
    assert caught.value.__cause__ is caught.value.failures[0].error


def test_file_of_an_answer_that_was_lost_is_undone(storage, servers):
    try_hosts(storage)
    servers[1].fault_methods, servers[1].drop_answer = {"PUT"}, True

    with pytest.raises(ReplicationError, match=r"\(the save was undone\)"):
        storage.save("a", ContentFile(b""))
    assert servers[1].log[-1][0] == "DELETE"
    assert [dict(server.files) for server in servers] == [{}, {}, {}]


def test_host_where_undoing_fails_is_named(storage, servers):
    servers[0].fault_methods, servers[0].refuse_code = {"DELETE"}, 500
    servers[1].refuse = True

    with pytest.raises(ReplicationError, match=rf"\(the save was undone, except on {servers[0].url}\)"):
        storage.save("a", ContentFile(b""))


def test_failed_save_is_kept_without_fatal_exceptions(make, servers, media_root, caplog):
    servers[1].refuse = True

    assert make(fatal_exceptions=False).save("a", ContentFile(b"content")) == "a"

    assert master_files(media_root) == {"a": b"content"}
    assert [dict(server.files) for server in servers] == [{"a": b"content"}, {}, {"a": b"content"}]
    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to upload a on {servers[1].url}. Connection refused."
    ]


def test_failed_replacement_is_not_undone(make, servers, media_root):
    """The old content is gone."""
    storage = make(allow_overwrite=True)
    storage.save("a", ContentFile(b"old"))
    servers[1].refuse = True

    with pytest.raises(ReplicationError):
        storage.save("a", ContentFile(b"new"))
    assert master_files(media_root) == {"a": b"new"}


@pytest.mark.parametrize("follow", ["replace", "delete", "replace at once"])
def test_failed_save_that_somebody_else_has_overtaken_is_not_undone(make, servers, media_root, follow):
    storage = make(allow_overwrite=True, executor="inline")
    servers[1].refuse_code = 500

    def overtake(method=None, path=None):
        servers[0].on_applied = None
        storage._master.delete("a")
        if follow != "delete":
            storage._master.store("a", ContentFile(b"theirs"), None)

    if follow == "replace at once":
        store = storage._master.store

        def store_and_be_overtaken(*args):
            try:
                return store(*args)
            finally:
                storage._master.store = store
                overtake()

        storage._master.store = store_and_be_overtaken
    else:
        servers[0].on_applied = overtake

    with pytest.raises(ReplicationError, match="another save or delete has followed"):
        storage.save("a", ContentFile(b"ours"))
    assert master_files(media_root) == ({} if follow == "delete" else {"a": b"theirs"})


def test_failed_delete_raises_and_the_file_is_gone_elsewhere(storage, servers, media_root):
    storage.save("a", ContentFile(b""))
    servers[1].refuse = True

    with pytest.raises(ReplicationError, match="delete of 'a' failed on 1 of 3 hosts"):
        storage.delete("a")
    assert master_files(media_root) == {}
    assert [list(server.files) for server in servers] == [[], ["a"], []]


def test_failed_delete_is_logged_without_fatal_exceptions(make, servers, caplog):
    storage = make(fatal_exceptions=False)
    storage.save("a", ContentFile(b""))
    servers[1].refuse = True

    storage.delete("a")

    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to delete a on {servers[1].url}. Connection refused."
    ]


def test_delete_of_a_directory_is_refused(storage, servers):
    storage.save("a/b", ContentFile(b""))
    requests = [list(server.requests) for server in servers]

    with pytest.raises(IsADirectoryError):
        storage.delete("a")
    assert [server.requests for server in servers] == requests


def test_missing_media_root_deletes_nothing(storage, servers, media_root):
    storage.save("a", ContentFile(b""))
    media_root.rename(media_root.with_name("elsewhere"))

    requests = [list(server.requests) for server in servers]

    with pytest.raises(
        FileNotFoundError, match=f"^{media_root} is missing; is it mounted.* or make it, if the site is new"
    ):
        storage.delete("a")
    assert [list(server.requests) for server in servers] == requests


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_slow_host_does_not_hold_up_the_others(make, servers, slow):
    """It answers only when they are done."""
    others_done = threading.Semaphore(0)
    for server in servers:
        server.on_applied = lambda method, path: others_done.release()
    servers[slow].on_applied = lambda method, path: [others_done.acquire(timeout=10) for _ in range(2)]

    HybridStorage([server.url for server in servers], "/media/", timeout=5).save("a", ContentFile(b""))

    assert [server.has_file("a") for server in servers] == [True] * 3


# The breaker.


def open_breaker(storage, server, **fault):
    """Let saves fail on a host until it is not asked any more."""
    for knob, value in fault.items():
        setattr(server, knob, value)
    for number in range(MAX_FAILURES):
        storage.save(f"missed-{number}", ContentFile(b""))


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_hanging_host_costs_a_save_almost_nothing(servers, media_root, breaker_clock, executor):
    hosts = [{"url": server.url, "timeout": 0.4 if server is servers[1] else 20} for server in servers]
    storage = HybridStorage(hosts, "/media/", executor=executor, fatal_exceptions=False)
    open_breaker(storage, servers[1], hang=True)
    assert len(servers[1].requests) == MAX_FAILURES

    for number in range(5):
        storage.save(f"{number}", ContentFile(b""))

    assert len(servers[1].requests) == MAX_FAILURES  # who does not ask does not wait
    assert [len(server.files) for server in servers] == [MAX_FAILURES + 5, 0, MAX_FAILURES + 5]


def test_save_is_undone_without_the_host_that_is_not_asked(make, servers, media_root, breaker_clock):
    open_breaker(make(fatal_exceptions=False), servers[1], refuse=True)
    servers[1].refuse = False
    kept = master_files(media_root)

    with pytest.raises(
        ReplicationError, match=r"3 times in a row \(connection refused\); .* for 1 s \(the save was undone\)$"
    ) as caught:
        make().save("a", ContentFile(b""))

    assert [outcome.host for outcome in caught.value.failures] == [servers[1].url]
    assert [server.has_file("a") for server in servers] == [False] * 3
    assert [servers[0].log[-1][0], servers[1].log, servers[2].log[-1][0]] == ["DELETE", [], "DELETE"]
    assert master_files(media_root) == kept


def test_host_whose_failure_has_opened_the_breaker_may_have_the_file(make, servers, breaker_clock):
    """It is not asked to delete it, and the error says so."""
    servers[1].drop_answer = True
    for name in ("a", "b"):
        with pytest.raises(ReplicationError, match=rf"\(the save was undone, except on {servers[1].url}\)"):
            make().save(name, ContentFile(b""))

    assert [request.method for request in servers[1].requests] == ["PUT", "HEAD", "PUT"]
    assert servers[1].has_file("b")


def test_first_action_after_the_pause_finds_out(make, servers, breaker_clock):
    storage = make(fatal_exceptions=False)
    open_breaker(storage, servers[1], drop_answer=True)
    asked = len(servers[1].requests)

    breaker_clock.pass_(FIRST_PAUSE)
    for name in ("a", "b"):
        storage.save(name, ContentFile(b""))
    assert len(servers[1].requests) == asked + 1
    servers[1].heal()
    storage.save("c", ContentFile(b""))
    assert len(servers[1].requests) == asked + 1

    breaker_clock.pass_(2 * FIRST_PAUSE)
    for name in ("d", "e"):
        storage.save(name, ContentFile(b""))
    assert [name for name in servers[1].files if name in "bcde"] == ["d", "e"]


def test_host_that_says_no_is_asked_again_and_again(make, servers, breaker_clock):
    storage = make(fatal_exceptions=False)
    open_breaker(storage, servers[1], refuse_code=500)

    storage.save("a", ContentFile(b""))
    assert len(servers[1].requests) == MAX_FAILURES + 1


# Files that are open for writing.


@pytest.mark.parametrize(
    ("mode", "after"),
    [("wb", b"new"), ("w", b"new"), ("ab", b"beforenew"), ("a", b"beforenew"), ("r+b", b"newore"), ("r+", b"newore")],
)
def test_written_file_is_replicated_when_it_is_closed(storage, servers, media_root, mode, after):
    storage.save("a", ContentFile(b"before"))

    with storage.open("a", mode) as file:
        file.write(b"new" if "b" in mode else "new")
        file.flush()
        assert [server.get_file("a") for server in servers] == [b"before"] * 3
        assert master_files(media_root)["a"] == b"before"
        assert storage.listdir("") == ([], ["a"])

    assert [dict(server.files) for server in servers] == [{"a": after}] * 3
    assert master_files(media_root) == {"a": after}


def through_the_storage(storage):
    return storage.open("a")


def through_a_field(storage):
    return FieldFile(SimpleNamespace(), FileField(storage=storage), "a")


@pytest.mark.parametrize("opened", [through_the_storage, through_a_field])
@pytest.mark.parametrize("is_closed", [True, False])
@pytest.mark.parametrize(
    ("mode", "after"), [("wb", b"new"), ("ab", b"beforenew"), ("r+b", b"newore"), ("a", b"beforenew")]
)
def test_file_that_was_opened_for_reading_is_replicated_when_it_is_written(
    storage, servers, media_root, opened, is_closed, mode, after
):
    storage.save("a", ContentFile(b"before"))
    file = opened(storage)
    assert file.read() == b"before"
    if is_closed:
        file.close()

    with file.open(mode):
        file.write(b"new" if "b" in mode else "new")

    assert [dict(server.files) for server in servers] == [{"a": after}] * 3
    assert master_files(media_root) == {"a": after}
    assert file.open("rb").read() == after
    file.close()


def test_field_whose_file_is_written_in_a_block_that_fails_keeps_the_file(storage, servers, media_root):
    storage.save("a", ContentFile(b"whole"))
    file = through_a_field(storage)
    with pytest.raises(ZeroDivisionError), file.open("wb"):
        file.write(len(b"half") // 0)
    assert [server.get_file("a") for server in servers] == [b"whole"] * 3
    assert master_files(media_root) == {"a": b"whole"}


@pytest.mark.parametrize("mode", ["r+b", "ab", "wb"])
def test_closing_undoes_nothing_that_was_done_while_the_file_was_open(storage, servers, media_root, mode):
    for name in ("deleted", "saved anew"):
        storage.save(name, ContentFile(b"before"))
    deleted, saved = (storage.open(name, mode) for name in ("deleted", "saved anew"))
    for file in (deleted, saved):
        file.write(b"new")
        storage.delete(file.name)
    storage.save("saved anew", ContentFile(b"theirs"))
    deleted.close()
    with pytest.raises(FileExistsError, match="saved by somebody else"):
        saved.close()
    assert master_files(media_root) == {"saved anew": b"theirs"}
    assert [dict(server.files) for server in servers] == [{"saved anew": b"theirs"}] * 3


def test_hosts_have_what_several_have_appended(storage, servers):
    files = [storage.open("a", "ab") for _ in range(3)]
    for number, file in enumerate(files):
        file.write(b"%d" % number)
        file.close()
    assert [dict(server.files) for server in servers] == [{"a": b"012"}] * 3


def test_new_file_is_written(storage, servers):
    with storage.open("a/b", "xb") as file:
        file.write(b"new")

    assert [dict(server.files) for server in servers] == [{"a/b": b"new"}] * 3
    with pytest.raises(FileExistsError):
        storage.open("a/b", "xb")


def test_written_file_stays_when_replication_fails(storage, servers, media_root):
    servers[1].refuse_code = 500

    file = storage.open("a", "wb")
    with pytest.raises(ReplicationError, match="upload of 'a' failed on 1 of 3 hosts"):
        file.close()

    assert master_files(media_root) == {"a": b""}


@pytest.mark.parametrize("mode", ["wb", "r+b", "ab"])
@pytest.mark.parametrize("name", ["", ".", "./", "d/..", "d"])
def test_directory_is_not_opened_for_writing(storage, media_root, tmp_path, name, mode):
    """As with Django."""
    for opened, directory in (
        (storage.open, media_root),
        (FileSystemStorage(tmp_path / "theirs").open, tmp_path / "theirs"),
    ):
        (directory / "d").mkdir(parents=True)
        with pytest.raises(IsADirectoryError) as info:
            opened(name, mode)
        assert (info.value.errno, info.value.filename) == (errno.EISDIR, os.path.normpath(directory / name))


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_name_that_no_file_can_have_is_refused(storage, media_root, tmp_path, name):
    """Django leaves that to the system, which raises `ValueError`."""
    for act in (lambda one: one.save(name, ContentFile(b"")), lambda one: one.open(name, "wb")):
        with pytest.raises(ValueError, match=r"embedded null|surrogates not allowed"):
            act(FileSystemStorage(tmp_path))
        with pytest.raises(SuspiciousFileOperation):
            act(storage)
    assert list(media_root.iterdir()) == []


@pytest.mark.parametrize("name", [".resto-x", "d/.resto-x", ".resto.master", ".resto.host"])
def test_file_of_a_name_of_restos_own_is_read_and_neither_written_nor_deleted(storage, servers, media_root, name):
    (media_root / "d").mkdir()
    (media_root / name).write_bytes(b"theirs")
    with storage.open(name) as file:
        assert file.read() == b"theirs"
    for act in (storage.delete, storage.publish, lambda name: storage.open(name, "ab")):
        with pytest.raises(SuspiciousFileOperation):
            act(name)
    assert master_files(media_root) == {name: b"theirs"}
    assert [dict(server.files) for server in servers] == [{}] * 3


def test_file_in_a_directory_of_a_name_of_restos_own_can_be_deleted(storage, servers, media_root):
    (media_root / ".resto-d").mkdir()
    (media_root / ".resto-d" / "a").write_bytes(b"theirs")
    storage.publish(".resto-d/a")
    assert [dict(server.files) for server in servers] == [{".resto-d/a": b"theirs"}] * 3
    storage.delete(".resto-d/a")
    assert [dict(server.files) for server in servers] == [{}] * 3


def test_written_file_that_is_too_long_named_is_refused(storage, media_root):
    with pytest.raises(OSError, match="File name too long"):
        storage.open("a" * 256, "wb")
    assert list(media_root.iterdir()) == []


def test_disk_that_is_full_leaves_no_file(storage, servers, media_root, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail)
        patch.setattr(os, "open", fail)
        with pytest.raises(OSError, match="No space left"):
            storage.save("a", ContentFile(b""))
    assert (list(media_root.iterdir()), servers[0].requests) == ([], [])


# What was changed by its path.


def test_file_that_was_written_by_its_path_is_sent(storage, servers, media_root):
    storage.save("a", ContentFile(b"before"))
    (media_root / "a").write_bytes(b"after")
    (media_root / "b").write_bytes(b"new")

    for name in ("a", "b", "b"):
        storage.publish(name)

    assert [dict(server.files) for server in servers] == [{"a": b"after", "b": b"new"}] * 3


def test_file_that_was_renamed_by_its_path_is_sent_and_removed(storage, servers, media_root):
    storage.save("a", ContentFile(b"content"))
    (media_root / "a").rename(media_root / "b")

    for name in ("a", "b"):
        storage.publish(name)

    assert [dict(server.files) for server in servers] == [{"b": b"content"}] * 3


def test_nothing_is_removed_for_a_master_copy_that_may_not_be_mounted(storage, servers, media_root):
    storage.save("a", ContentFile(b"content"))
    (media_root / "a").unlink()

    with pytest.raises(FileNotFoundError, match="is it mounted"):
        storage.publish("a")
    assert [dict(server.files) for server in servers] == [{"a": b"content"}] * 3


def test_what_was_changed_by_its_path_and_fails_on_a_host_is_told(storage, servers, media_root):
    (media_root / "a").write_bytes(b"content")
    servers[1].refuse_code = 500

    with pytest.raises(ReplicationError, match="the master copy stays as it is"):
        storage.publish("a")
    assert master_files(media_root) == {"a": b"content"}
    assert servers[2].get_file("a") == b"content"


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "."])
def test_name_that_is_published_is_that_of_a_file(storage, servers, media_root, name):
    (media_root / "d").mkdir()
    with pytest.raises(SuspiciousFileOperation):
        storage.publish(name)
    with pytest.raises(IsADirectoryError):
        storage.publish("d")
    assert servers[0].requests == []
