"""A directory that somebody names."""

import pytest
from django.core.exceptions import SuspiciousFileOperation

from resto.repair.directories import possible_directory, problem_of_directory


@pytest.mark.parametrize(("name", "cleaned"), [("", ""), ("a//b/", "a/b"), ("x" * 255, "x" * 255)])
def test_directory_that_there_can_be(name, cleaned):
    assert possible_directory(name) == cleaned


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/etc", "is an absolute path"),
        ("../x", "leads out of its directory"),
        ("a/" + "ä" * 151, "is 302 bytes long, file systems take 255"),
        ("x/" * 2_100, "is too long: 4199 characters"),
    ],
)
def test_directory_that_there_cannot_be(name, problem):
    with pytest.raises(SuspiciousFileOperation, match=problem):
        possible_directory(name)


@pytest.mark.parametrize(
    ("name", "on_hosts", "problem"),
    [
        ("", False, ""),
        ("photos", False, ""),
        ("photos/a", False, "'photos/a' is a file, and no directory"),
        ("photos/a", True, "'photos/a' is a file, and no directory"),
        ("photoz", True, ""),
        ("photoz", False, "there is no directory 'photoz', neither here nor on a host. Did you mean 'photos'?"),
        ("what", False, "there is no directory 'what', neither here nor on a host"),
    ],
)
def test_directory_that_nobody_has(tmp_path, name, on_hosts, problem):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").touch()
    assert problem_of_directory(name, [tmp_path], on_hosts=on_hosts) == problem


def test_without_a_master_copy_hosts_decide():
    assert problem_of_directory("a", [], on_hosts=True) == ""
    assert problem_of_directory("a", [], on_hosts=False) == "there is no directory 'a', neither here nor on a host"
