"""The files of a server, as a test sees them."""

import pytest

from resto.testing.service import Service


@pytest.fixture(params=["memory", "folder"])
def stocked(request, tmp_path):
    service = Service(root=None if request.param == "memory" else tmp_path)
    service.create_file("d/a", b"data")
    return service


def test_files_as_the_ancestor_had_them(stocked):
    assert stocked.has_file("d/a")
    assert stocked.get_file("d/a") == b"data"
    stocked.create_file("d/a", b"new")
    assert stocked.get_file("d/a") == b"new"
    stocked.delete_file("d/a")
    assert not stocked.has_file("d/a")


@pytest.mark.parametrize("name", ["missing", "d", "", "../x", "d/a/"])
def test_no_such_file(stocked, name):
    assert not stocked.has_file(name)
    with pytest.raises(KeyError):
        stocked.get_file(name)
    with pytest.raises(KeyError):
        stocked.delete_file(name)


@pytest.mark.parametrize("name", ["", "../x", "a//b"])
def test_create_file_under_an_impossible_name(stocked, name):
    with pytest.raises(ValueError, match="not a name"):
        stocked.create_file(name, b"")


def test_files_is_a_live_mapping(stocked):
    files = stocked.files
    assert files == {"d/a": b"data"}
    assert files == {"d/a": b"data"}
    stocked.create_file("b", b"b")
    assert len(files) == 2
    assert "b" in files
    assert repr(files) in {"{'b': b'b', 'd/a': b'data'}", "{'d/a': b'data', 'b': b'b'}"}
