"""What lies below a master copy and elsewhere."""

import pytest

from resto.master.places import find_places, has_files
from resto.master.root import Root


@pytest.fixture
def root(tmp_path):
    with Root(str(tmp_path)) as root:
        yield root.descriptor


def test_directories_on_the_same_device_are_no_places(root, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_places(root, "a/b") == ({}, True)
    assert find_places(root, "a/c/d") == ({}, False)


@pytest.mark.parametrize("target", ["elsewhere", "missing"])
def test_link_is_a_place_if_it_leads_somewhere(root, tmp_path, target):
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    (tmp_path / "a").symlink_to(target)
    assert find_places(root, "a/b") == (({"a": "a link"}, True) if target == "elsewhere" else ({}, False))


def test_directory_on_another_device_is_a_place():
    """Those of the system are enough: each Linux has them."""
    with Root("/") as root:
        assert find_places(root.descriptor, "proc/self") == (
            {"proc": "another file system", "proc/self": "a link"},
            True,
        )


def test_file_on_the_way_is_no_place(root, tmp_path):
    (tmp_path / "a").touch()
    assert find_places(root, "a/b") == ({}, False)


def test_files_are_found_at_any_depth(root, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for own in (".resto-1", ".resto.master", "a/.resto-2"):
        (tmp_path / own).touch()
    assert not has_files(root)
    (tmp_path / "a" / "b" / "c").touch()
    assert has_files(root)


def test_link_counts_as_a_file_and_is_not_followed(root, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to("..")
    assert has_files(root)
