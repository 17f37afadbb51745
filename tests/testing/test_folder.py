import pytest

from resto.testing.folder import TEMPORARY_PREFIX, FolderFiles


def test_files_are_real(tmp_path):
    store = FolderFiles(tmp_path / "made")
    upload = store.upload("a.txt", in_place=False)
    upload.write(b"content")
    upload.publish()
    assert (tmp_path / "made" / "a.txt").read_bytes() == b"content"


def test_files_changed_behind_its_back_are_seen(tmp_path):
    store = FolderFiles(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"content")
    assert store.names() == ["a.txt"]
    assert store.find("a.txt").size == 7


def test_temporary_file_is_hidden_and_removed(tmp_path):
    store = FolderFiles(tmp_path)
    upload = store.upload("a.txt", in_place=False)
    [temporary] = tmp_path.iterdir()
    assert temporary.name.startswith(TEMPORARY_PREFIX)
    assert TEMPORARY_PREFIX.startswith(".resto-")
    assert store.children("") == []
    upload.abandon()
    assert list(tmp_path.iterdir()) == []


def test_temporary_file_of_a_client_is_listed(tmp_path):
    (tmp_path / ".resto-of-a-client").touch()
    assert FolderFiles(tmp_path).names() == [".resto-of-a-client"]


def test_publish_into_vanished_directory_leaves_no_temporary_file(tmp_path):
    store = FolderFiles(tmp_path)
    store.make_directory("d")
    upload = store.upload("d/a.txt", in_place=False)
    (tmp_path / "d").rmdir()
    with pytest.raises(NotADirectoryError):
        upload.publish()
    assert list(tmp_path.iterdir()) == []


def test_upload_is_readable_by_others(tmp_path):
    store = FolderFiles(tmp_path)
    store.upload("a.txt", in_place=False).publish()
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
