"""How contents get into files, and directories come to be."""

import errno
import os

import pytest
from django.core.files import File
from django.core.files.storage import FileSystemStorage

from kit.disk import fail_with


@pytest.fixture
def plain_file(tmp_path):
    """A file of the operating system, not at its beginning."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        file.seek(3)
        yield File(file)


def test_plain_file_is_copied_by_the_system(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(File, "chunks", None)

    master.store("a", plain_file, None)

    assert (media_root / "a").read_bytes() == b"content"


def test_plain_file_is_read_if_the_system_cannot_copy_it(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", fail_with(errno.EXDEV))

    master.store("a", plain_file, None)

    assert (media_root / "a").read_bytes() == b"content"


def test_full_disk_is_told_once(master, media_root, plain_file, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", fail_with(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        master.store("a", plain_file, None)

    assert list(media_root.iterdir()) == []


# As Django's storage has it.


class Chunks(File):
    """A content in chunks of any kind."""

    def __init__(self, *chunks):
        super().__init__(None, "a")
        self._chunks = chunks

    def chunks(self, chunk_size=None):
        yield from self._chunks


@pytest.mark.parametrize("can_copy", [True, False])
def test_content_is_read_to_its_end(master, plain_file, tmp_path, monkeypatch, can_copy):
    if not can_copy:
        monkeypatch.setattr(os, "copy_file_range", fail_with(errno.EXDEV))
    positions = []
    for save in (FileSystemStorage(tmp_path / "theirs").save, lambda name, content: master.store(name, content, None)):
        plain_file.seek(3)
        save("a", plain_file)
        positions.append(plain_file.tell())
    assert positions == [7, 7]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"a", b"b"],
        ["a", "\u00e9"],
        [b"a", bytearray(b"b"), memoryview(b"c")],
        ["a", b"b"],
        [b"a", "b"],
        [bytearray(b"a")],
        [memoryview(b"a"), b"b"],
        [1],
    ],
    ids=lambda chunks: " ".join(type(chunk).__name__ for chunk in chunks),
)
def test_chunks_are_all_text_or_all_bytes(master, media_root, tmp_path, chunks):
    written = []
    for save, directory in (
        (FileSystemStorage(tmp_path / "theirs").save, tmp_path / "theirs"),
        (lambda name, content: master.store(name, content, None)[1].close(), media_root),
    ):
        try:
            save("a", Chunks(*chunks))
        except TypeError:
            written.append(TypeError)
        else:
            written.append((directory / "a").read_bytes())
    assert written[0] == written[1]
