import pytest

from resto.testing.files import MemoryFiles, is_valid_name, parent_of
from resto.testing.folder import FolderFiles


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    return MemoryFiles() if request.param == "memory" else FolderFiles(tmp_path)


def put(store, name, content, *, in_place=False):
    upload = store.upload(name, in_place=in_place)
    upload.write(content)
    return upload.publish()


def get(store, name):
    _, file = store.open(name)
    with file:
        return file.read()


def test_upload_says_whether_name_is_new(store):
    assert put(store, "a.txt", b"one") is True
    assert put(store, "a.txt", b"two") is False
    assert get(store, "a.txt") == b"two"


def test_upload_is_invisible_until_published(store):
    put(store, "a.txt", b"old")
    upload = store.upload("a.txt", in_place=False)
    upload.write(b"new")
    assert get(store, "a.txt") == b"old"
    assert store.names() == ["a.txt"]
    upload.publish()
    assert get(store, "a.txt") == b"new"


def test_abandoned_upload_leaves_nothing(store):
    upload = store.upload("a.txt", in_place=False)
    upload.write(b"new")
    upload.abandon()
    assert store.find("a.txt") is None


def test_upload_in_place_is_visible_at_once(store):
    put(store, "a.txt", b"long old content")
    upload = store.upload("a.txt", in_place=True)
    upload.write(b"ne")
    assert get(store, "a.txt") == b"ne"
    upload.write(b"w")
    assert upload.publish() is False
    assert get(store, "a.txt") == b"new"


def test_abandoned_upload_in_place_stays(store):
    upload = store.upload("a.txt", in_place=True)
    upload.write(b"ne")
    upload.abandon()
    assert get(store, "a.txt") == b"ne"


@pytest.mark.parametrize("in_place", [False, True])
def test_upload_refused(store, in_place):
    store.make_directory("d")
    put(store, "f", b"")
    with pytest.raises(IsADirectoryError):
        store.upload("d", in_place=in_place)
    with pytest.raises(NotADirectoryError):
        store.upload("missing/f", in_place=in_place)
    with pytest.raises(NotADirectoryError):
        store.upload("f/below", in_place=in_place)


def test_publish_when_name_has_become_a_directory(store):
    upload = store.upload("a", in_place=False)
    store.make_directory("a")
    with pytest.raises(IsADirectoryError):
        upload.publish()
    assert store.names() == []


def test_open_file_stays_whole_when_replaced(store):
    put(store, "a.txt", b"old")
    entry, file = store.open("a.txt")
    put(store, "a.txt", b"newer")
    with file:
        assert file.read() == b"old"
    assert entry.size == 3


def test_open_refused(store):
    with pytest.raises(FileNotFoundError):
        store.open("a.txt")
    store.make_directory("d")
    with pytest.raises(IsADirectoryError):
        store.open("d")


def test_find(store):
    assert store.find("a.txt") is None
    put(store, "a.txt", b"12345")
    assert store.find("a.txt").size == 5
    assert not store.find("a.txt").is_directory
    assert store.find("").is_directory
    assert store.find("a.txt/below") is None


def test_etag_changes_with_each_upload(store):
    put(store, "a.txt", b"one")
    before = store.find("a.txt").etag
    put(store, "a.txt", b"two")
    assert store.find("a.txt").etag != before


def test_delete(store):
    put(store, "a.txt", b"")
    store.delete("a.txt")
    assert store.find("a.txt") is None
    with pytest.raises(FileNotFoundError):
        store.delete("a.txt")


def test_delete_refuses_directory(store):
    store.make_directory("d")
    with pytest.raises(IsADirectoryError):
        store.delete("d")
    assert store.find("d").is_directory


def test_make_directory(store):
    store.make_directory("d")
    put(store, "f", b"")
    with pytest.raises(FileExistsError):
        store.make_directory("d")
    with pytest.raises(FileExistsError):
        store.make_directory("f")
    with pytest.raises(NotADirectoryError):
        store.make_directory("missing/d")


def test_make_parents(store):
    store.make_parents("a/b/c.txt")
    store.make_parents("a/b/d.txt")
    assert store.find("a/b").is_directory
    assert store.find("a/b/c.txt") is None


def test_move(store):
    put(store, "a", b"a")
    assert store.move("a", "b", overwrite=False) is True
    assert store.names() == ["b"]
    put(store, "a", b"newer")
    with pytest.raises(FileExistsError):
        store.move("a", "b", overwrite=False)
    assert get(store, "b") == b"a"
    assert store.move("a", "b", overwrite=True) is False
    assert get(store, "b") == b"newer"
    assert store.names() == ["b"]


def test_move_refused(store):
    put(store, "a", b"a")
    store.make_directory("d")
    with pytest.raises(FileNotFoundError):
        store.move("missing", "b", overwrite=True)
    with pytest.raises(IsADirectoryError):
        store.move("d", "b", overwrite=True)
    with pytest.raises(IsADirectoryError):
        store.move("a", "d", overwrite=True)
    with pytest.raises(NotADirectoryError):
        store.move("a", "missing/b", overwrite=True)
    assert get(store, "a") == b"a"


def test_children_are_direct_and_sorted(store):
    store.make_parents("d/sub/x")
    for name in ["d/b", "d/a", "d/sub/x", "top"]:
        put(store, name, b"")
    assert [(base, entry.is_directory) for base, entry in store.children("d")] == [
        ("a", False),
        ("b", False),
        ("sub", True),
    ]


def test_names_are_those_of_files_at_every_depth(store):
    store.make_parents("d/sub/x")
    store.make_directory("empty")
    for name in ["d/sub/x", "top"]:
        put(store, name, b"")
    assert sorted(store.names()) == ["d/sub/x", "top"]
    assert store.names("d") == ["d/sub/x"]


@pytest.mark.parametrize("name", ["a", "a/b", "é.txt", ".hidden", "a b", "..."])
def test_valid_names(name):
    assert is_valid_name(name)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b"])
def test_invalid_names(name):
    assert not is_valid_name(name)


def test_parent_of():
    assert parent_of("a/b/c") == "a/b"
    assert parent_of("a") == ""
