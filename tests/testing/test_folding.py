"""A store that takes spellings for one."""

import pytest

from resto.testing.files import MemoryFiles
from resto.testing.folder import FolderFiles
from resto.testing.folding import FoldingFiles


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path):
    files = MemoryFiles() if request.param == "memory" else FolderFiles(tmp_path)
    return FoldingFiles(files, case=True, forms=True)


def put(store, name, content, *, in_place=False):
    store.make_parents(name)
    upload = store.upload(name, in_place=in_place)
    upload.write(content)
    return upload.publish()


def test_a_file_keeps_the_first_spelling_of_its_name_and_has_all(store):
    assert put(store, "Dir/Photo.JPG", b"1") is True
    assert put(store, "dir/photo.jpg", b"22") is False
    assert store.names() == ["Dir/Photo.JPG"]
    assert store.find("DIR/PHOTO.JPG").size == 2
    with store.open("dir/PHOTO.jpg")[1] as file:
        assert file.read() == b"22"
    store.delete("DIR/photo.jpg")
    assert store.names() == []


def test_directories_have_all_spellings_too(store):
    store.make_directory("Dir")
    with pytest.raises(FileExistsError):
        store.make_directory("dir")
    assert store.children("DIR") == []
    store.delete_directory("dIR")
    assert store.find("Dir") is None


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_move_replaces_what_is_spelled_otherwise(store, overwrite):
    put(store, "A", b"1")
    put(store, "b", b"2")
    if overwrite:
        assert store.move("B", "a", overwrite=True) is False
        assert store.names() == ["A"]
    else:
        with pytest.raises(FileExistsError):
            store.move("B", "a", overwrite=False)


def test_what_is_below_a_file_is_not_there(store):
    put(store, "A", b"1")
    assert store.find("a/b") is None


@pytest.mark.parametrize(("case", "forms"), [(True, False), (False, True), (True, True)])
def test_it_takes_for_one_what_it_is_told(case, forms):
    store = FoldingFiles(MemoryFiles(), case=case, forms=forms)
    put(store, "\u00e9", b"1")
    assert [store.find(name) is not None for name in ("e\u0301", "\u00c9", "E\u0301")] == [forms, case, case and forms]
