import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto import traffic
from resto.transports import Directory, listings


def parse_autoindex(text):
    return listings.parse_autoindex(io.BytesIO(text))


def parse(*entries):
    return parse_autoindex(json.dumps(entries).encode())


def file(name, size=5):
    return {"name": name, "type": "file", "mtime": "Sun, 06 Nov 1994 08:49:37 GMT", "size": size}


def test_files_and_directories():
    directory = parse({"name": "sub", "type": "directory", "mtime": "x"}, file("a.txt"), file("empty", 0))
    assert directory == Directory({"sub"}, {"a.txt": 5, "empty": 0}, {})


def test_files_are_counted_as_they_arrive(monkeypatch):
    monkeypatch.setattr(listings, "_BLOCK", 50)
    counted = []
    with traffic.listening(counted.append):
        parse(*(file(f"{number}.txt") for number in range(20)), {"name": "sub", "type": "directory"})
    assert sum(counted) == 20
    assert len([*filter(None, counted)]) > 5
    parse(file("a.txt"))
    assert sum(counted) == 20


def test_an_empty_directory():
    assert parse() == Directory()


@pytest.mark.parametrize("size", [None, -1, "5", 5.5, True])
def test_a_size_that_is_none_is_unknown(size):
    assert parse(file("a", size)).files == {"a": None}


def test_what_is_no_file():
    assert parse({"name": "pipe", "type": "other"}).others == {"pipe": "it is neither a file nor a directory"}


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\\..\\b", "a\nb", "x" * 256, ".resto-0123", "/"])
def test_names_that_resto_never_gives(name):
    directory = parse(file(name), file("good"))
    assert directory.files == {"good": 5}
    assert [*directory.others] == [name]


def test_names_need_not_be_text():
    directory = parse_autoindex(b'[{"name": "\xff", "type": "file", "size": 1}]')
    assert directory.files == {}
    assert [*directory.others] == ["\udcff"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"{}",
        b"null",
        b"[1]",
        b"[null]",
        b"[[]]",
        b'[{"name": "a"}]',
        b'[{"type": "file"}]',
        b'[{"name": "", "type": "file"}]',
        b'[{"name": 1, "type": "file"}]',
        b'[{"name": "a", "type": "link"}]',
        b'{"name": "a", "type": "file", "size": 1}',
        b'[{"name": "a", "type": "file", "size": {"name": "b", "type": "file"}}]',
        b'[{"name": "a", "type": "file", "size": 1}',
    ],
)
def test_what_is_no_listing(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is json's, or that of the codec
        parse_autoindex(text)


@given(st.binary())
def test_no_answer_is_too_strange(text):
    with contextlib.suppress(ValueError):
        assert parse_autoindex(text) == Directory()


def test_members_are_put_where_they_belong():
    directory = Directory()
    directory.add("d", None, is_directory=True)
    directory.add("f", 1, is_directory=False)
    directory.add("..", None, is_directory=True)
    assert (directory.directories, directory.files, [*directory.others]) == ({"d"}, {"f": 1}, [".."])


@given(st.sets(st.text()), st.dictionaries(st.text(), st.none() | st.integers(0)))
def test_many_members_are_put_where_each_belongs(directories, files):
    expected = Directory()
    for name in directories:
        expected.add(name, None, is_directory=True)
    for name, size in files.items():
        expected.add(name, size, is_directory=False)
    assert Directory.of(set(directories), dict(files)) == expected
