"""Which file a name means, and where: as with Django's `FileSystemStorage`, whose answers are compared with those of resto."""

import copy
import errno
import os
import pickle
import tempfile
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from hypothesis import example, given
from hypothesis import strategies as st

from kit.hosts import MemoryTransport
from resto.exceptions import ConfigurationError
from resto.names import is_canonical
from resto.storage import AsyncStorage, HybridStorage


@pytest.fixture(params=[HybridStorage, AsyncStorage])
def make(request, resto_server, media_root):
    media_root.mkdir()

    def make(kind: type = request.param, **options: object) -> HybridStorage:
        return kind([resto_server.url], transport="webdav", executor="inline", **options)

    return make


@pytest.fixture
def storage(make):
    return make()


# One name, one file.

TOO_LONG = "y" * 256
parts = st.sampled_from(
    ["a", "b", "d", "a\\b", "d\\a", "..", ".", "", "é", "a\n", "\udcff", "x" * 240, TOO_LONG, " ", "~"]
)
relative = st.lists(parts, min_size=1, max_size=4).map("/".join)
# An absolute name begins with @, which stands for the directory.
given_names = st.one_of(relative, relative.map("@/{}".format), st.sampled_from(["@", "@x", "/etc/passwd", ""]))
actions = st.sampled_from(["exists", "read", "size", "delete", "write", "append", "save", "path", "get_modified_time"])
present = st.sets(st.sampled_from(["a", "b", "d/a", "a\\b", "d\\a", "d/b/a", "é", "a\n", "x" * 240, "d/a\\b"]))


WRITING = ("write", "append", "save")
ANOTHER = "another name"

# One of the differences that the docs tell of.
NOT_EMPTY, NOT_EMPTY_HERE = (OSError, errno.ENOTEMPTY), (IsADirectoryError, errno.EISDIR)


def with_root(name: str, root: Path) -> str:
    return name.replace("@", str(root))


def act(storage: FileSystemStorage | HybridStorage, action: str, name: str) -> object:
    root = storage.location
    name = with_root(name, Path(root))
    if action == "read":
        with storage.open(name) as file:
            return file.read()
    if action in ("write", "append"):
        with storage.open(name, {"write": "wb", "append": "ab"}[action]) as file:
            file.write(b"written")
        return None
    if action == "save":
        return storage.save(name, ContentFile(b"saved")).replace(root, "@")
    told = getattr(storage, action)(name)
    if action == "size" and Path(storage.path(name)).is_dir():
        return None  # it depends on what has been there
    return told.replace(root, "@") if action == "path" else told


def told_by(storage: FileSystemStorage | HybridStorage, action: str, name: str) -> object:
    try:
        told = act(storage, action, name)
    except (OSError, ValueError, SuspiciousFileOperation) as error:
        kind = SuspiciousFileOperation if isinstance(error, SuspiciousFileOperation) else type(error)
        # Django's own FileExistsError has no number.
        return kind, None if kind is FileExistsError else getattr(error, "errno", None)
    # Of a name that is taken, the other one is random.
    is_random = action == "save" and told != os.path.normpath(name.replace("\\", "/"))
    return ANOTHER if is_random else told if action != "get_modified_time" else None


def have_failed(*told: object) -> bool:
    return all(isinstance(one, tuple) and issubclass(one[0], OSError) for one in told)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def is_possible_on_hosts(root: Path, name: str) -> bool:
    """Return whether hosts can have a file of that name: no other one is written."""
    return is_canonical(os.path.relpath(os.path.normpath(root / with_root(name, root)), root))


@pytest.mark.django_db
@given(files=present, steps=st.lists(st.tuples(actions, given_names), min_size=1, max_size=6))
@example(files={"a\\b"}, steps=[("read", "a\\b"), ("delete", "a\\b"), ("exists", "a\\b")])
@example(files={"a"}, steps=[("read", "@/a"), ("write", "@/a"), ("delete", "@/d/../a")])
@example(files={"a\n"}, steps=[("exists", "a\n"), ("delete", "a\n"), ("exists", "a\n")])
@example(files=set(), steps=[("write", "d\\a"), ("exists", "d\\a"), ("save", "d\\a"), ("delete", "d/a")])
def test_a_name_means_the_file_that_it_means_to_django(files, steps):
    with tempfile.TemporaryDirectory() as folder:
        plain, ours = FileSystemStorage(Path(folder, "plain")), Path(folder, "ours")
        for root in (Path(plain.location), ours):
            root.mkdir()
            for name in files:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(name.encode())
        storage = HybridStorage(["media-1"], location=ours, transport=MemoryTransport, executor="inline")
        for action, name in steps:
            if action in (*WRITING, "delete") and is_root(ours, name):
                continue  # which is never deleted
            if action in WRITING and not is_possible_on_hosts(ours, name):
                continue
            if action in ("write", "append") and (TOO_LONG in name or not make_directory(plain, name)):
                continue
            wanted, told = told_by(plain, action, name), told_by(storage, action, name)
            if TOO_LONG in name and have_failed(wanted, told):
                continue  # perhaps for another reason, too: either may be told
            if ANOTHER in (wanted, told):
                assert wanted == told
                return  # these two have different names
            assert told == (NOT_EMPTY_HERE if action == "delete" and wanted == NOT_EMPTY else wanted), (action, name)
            here = contents(ours)
            assert here == contents(Path(plain.location))
            assert {name: content for (_, name), content in storage.transport.files.items()}.items() <= here.items()


def is_root(root: Path, name: str) -> bool:
    return os.path.normpath(root / with_root(name, root)) == str(root)


def make_directory(storage: FileSystemStorage, name: str) -> bool:
    """Make the directory of a file that is to be opened for writing, as resto does; return False if that cannot be."""
    try:
        path = Path(storage.path(with_root(name, Path(storage.location))))
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, SuspiciousFileOperation):
        return False
    return True


def test_what_can_be_read_can_be_deleted(storage, resto_server):
    name = storage.save("d/a.txt", ContentFile(b"content"))

    storage.delete(storage.path(name))

    assert not storage.exists(name)
    assert not resto_server.files


def test_absolute_path_elsewhere_is_refused(storage, tmp_path):
    for call in (storage.delete, storage.exists, lambda name: storage.open(name, "wb")):
        with pytest.raises(SuspiciousFileOperation):
            call(str(tmp_path / "elsewhere"))


def test_empty_directory_is_deleted_here_alone(storage, resto_server, media_root):
    storage.save("album/photo.jpg", ContentFile(b"1"))
    storage.delete("album/photo.jpg")
    before = len(resto_server.requests)

    storage.delete("album/")
    assert not media_root.joinpath("album").exists()
    assert len(resto_server.requests) == before

    storage.delete("album")  # as Django has it, what is not there can be deleted


@pytest.mark.parametrize("name", ["a\n", "\udcff", "d\\..\\a"])
def test_file_that_no_host_can_have_is_deleted_here_alone(storage, resto_server, media_root, name):
    (media_root / name).write_bytes(b"from before")

    storage.delete(name)

    assert not storage.exists(name)
    assert resto_server.requests == []


# What can be assigned, and overridden.


def test_assigned_location_is_only_read(storage, resto_server, media_root, tmp_path):
    storage.save("a", ContentFile(b"content"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b").write_bytes(b"other")

    storage.location = elsewhere

    assert (storage.location, storage.path("b")) == (str(elsewhere), str(elsewhere / "b"))
    assert (storage.exists("a"), storage.listdir("")) == (False, ([], ["b"]))
    with storage.open("b") as file:
        assert file.read() == b"other"
    for write in (
        lambda: storage.save("c", ContentFile(b"")),
        lambda: storage.delete("b"),
        lambda: storage.open("b", "ab"),
    ):
        with pytest.raises(ConfigurationError, match=f"{elsewhere} was assigned .* {media_root}") as caught:
            write()
        assert caught.value.code == "E022"
    assert contents(elsewhere) == {"b": b"other"}
    assert dict(resto_server.files) == {"a": b"content"}


def test_the_same_location_may_be_assigned(storage, media_root, tmp_path):
    (tmp_path / "link").symlink_to(media_root)
    storage.location = tmp_path / "elsewhere"
    storage.base_location = tmp_path / "link"

    assert storage.save("a", ContentFile(b"content")) == "a"
    assert storage.location == str(media_root)


def test_assigned_base_url_is_that_of_files(storage, resto_server):
    storage.base_url = "https://elsewhere/"

    assert storage.url(storage.save("a", ContentFile(b""))) == "https://elsewhere/a"
    assert resto_server.has_file("a")

    storage.base_url = None
    with pytest.raises(ValueError, match="not accessible via a URL"):
        storage.url("a")


def test_assigned_permissions_are_those_of_new_files(storage, media_root):
    storage.file_permissions_mode, storage.directory_permissions_mode = 0o640, 0o750

    storage.save("d/a", ContentFile(b""))

    assert (storage.file_permissions_mode, storage.directory_permissions_mode) == (0o640, 0o750)
    assert [(media_root / name).stat().st_mode & 0o777 for name in ("d/a", "d")] == [0o640, 0o750]


class Tenants:
    @property
    def location(self) -> str:
        return "/srv/tenants/one"


class TenantsByPath:
    def path(self, name: str) -> str:
        return f"/srv/tenants/one/{name}"


class TenantsThatAreNotHere:
    def path(self, name: str) -> str:
        raise LookupError("there is no tenant")


class ByInitial:
    def path(self, name: str) -> str:
        return super().path(f"{name[0]}/{name}" if "/" not in name else name)


@pytest.mark.parametrize(
    ("mixin", "attribute"), [(Tenants, "location"), (TenantsByPath, "path"), (TenantsThatAreNotHere, "path")]
)
def test_location_of_each_tenant_is_refused(make, resto_server, media_root, mixin, attribute):
    storage = make(type("TenantStorage", (mixin, HybridStorage), {}))

    with pytest.raises(ConfigurationError, match=f"{mixin.__name__} overrides '{attribute}'.*upload_to") as caught:
        storage.save("a", ContentFile(b""))

    assert caught.value.code == "E022"
    assert [problem.code for problem in storage.problems()] == ["E022"]
    assert (resto_server.requests, contents(media_root)) == ([], {})


def test_path_that_is_elsewhere_for_some_names_is_refused_for_them(make, resto_server, media_root):
    storage = make(type("Sorted", (ByInitial, HybridStorage), {}))

    storage.save("b/a", ContentFile(b""))
    with pytest.raises(ConfigurationError, match="ByInitial overrides 'path'"):
        storage.save("a", ContentFile(b""))

    assert dict(resto_server.files) == contents(media_root) == {"b/a": b""}


class Logging:
    def path(self, name: str) -> str:
        return super().path(name)


class Remote:
    is_remote = True

    def path(self, name: str) -> str:
        if self.is_remote:
            raise NotImplementedError
        return super().path(name)


@pytest.mark.parametrize("mixin", [Logging, Remote])
def test_subclass_may_override_path_and_leave_files_where_they_are(make, resto_server, media_root, mixin):
    """As storages do that log, or seem to be far away, to the tests of packages."""
    storage = make(type("Overriding", (mixin, HybridStorage), {}))

    assert storage.save("a", ContentFile(b"1")) == "a"
    assert storage.problems() == []
    assert dict(resto_server.files) == contents(media_root) == {"a": b"1"}
    storage.delete("a")

    assert (dict(resto_server.files), contents(media_root)) == ({}, {})


def test_subclass_that_may_replace_files(make, media_root, resto_server):
    """As Django's `FileSystemStorage` before 6.0."""
    flags = HybridStorage.OS_OPEN_FLAGS & ~os.O_EXCL
    storage = make(type("Overwriting", (HybridStorage,), {"OS_OPEN_FLAGS": flags}))

    assert [storage.save("a", ContentFile(content)) for content in (b"1", b"2")] == ["a", "a"]
    assert (contents(media_root), resto_server.get_file("a")) == ({"a": b"2"}, b"2")


# What stays different.


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda storage: pickle.loads(pickle.dumps(storage))])
def test_copy_is_made_anew_of_the_options(make, clone):
    storage = make(base_url="/media/")
    storage.base_url, storage.tenant = "https://elsewhere/", "acme"

    assert clone(storage).url("a") == "/media/a"
    assert not hasattr(clone(storage), "tenant")


def test_file_with_two_names_has_one_of_them_after_it_is_written(storage, resto_server, media_root):
    (media_root / "a").write_bytes(b"1")
    (media_root / "hard").hardlink_to(media_root / "a")
    (media_root / "soft").symlink_to("a")

    for name in ("hard", "soft"):
        with storage.open(name, "ab") as file:
            file.write(b"2")

    assert contents(media_root) == {"a": b"1", "hard": b"12", "soft": b"12"}
    assert not (media_root / "soft").is_symlink()
    assert dict(resto_server.files) == {"hard": b"12", "soft": b"12"}


def test_link_that_leads_nowhere_is_not_written_through(storage, resto_server, media_root):
    (media_root / "link").symlink_to("a")

    with pytest.raises(FileNotFoundError, match="'link' is a link to what is not there"):
        storage.open("link", "wb")

    assert contents(media_root) == dict(resto_server.files) == {}


def test_loop_of_links_is_not_deleted(storage, media_root):
    (media_root / "loop").symlink_to("loop")

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        storage.delete("loop")

    assert (media_root / "loop").is_symlink()


def test_first_argument_is_the_hosts(media_root):
    with pytest.raises(ConfigurationError, match=f"location='{media_root}'"):
        HybridStorage(str(media_root), "/media/").save("a", ContentFile(b""))


def test_new_file_that_is_opened_for_writing_has_the_mode_of_the_setting(storage, media_root, settings):
    settings.FILE_UPLOAD_PERMISSIONS = 0o604
    storage.open("a", "wb").close()

    assert (media_root / "a").stat().st_mode & 0o777 == 0o604


def test_storage_is_none_of_django(storage):
    assert not isinstance(storage, FileSystemStorage)


@pytest.mark.django_db
def test_another_directory_alone_leaves_files_on_the_hosts_of_the_settings(storage, resto_server, settings, tmp_path):
    """As in a test that changes nothing else: it replaces files of the site."""
    storage.save("a", ContentFile(b"of the site"))
    settings.MEDIA_ROOT = tmp_path / "of a test"

    storage.save("a", ContentFile(b"of a test"))

    assert dict(resto_server.files) == {"a": b"of a test"}


# How long names are.


def test_two_who_save_at_once_keep_to_max_length(storage, media_root):
    class Slow(ContentFile):
        def chunks(self, chunk_size: int | None = None):
            (media_root / "abcdefghijkl.txt").write_bytes(b"theirs")
            yield b"ours"

    name = storage.save("abcdefghijkl.txt", Slow(b""), max_length=16)

    assert (len(name), name.endswith(".txt"), name != "abcdefghijkl.txt") == (16, True, True)
    assert contents(media_root) == {"abcdefghijkl.txt": b"theirs", name: b"ours"}
