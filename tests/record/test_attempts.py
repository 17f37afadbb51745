"""What storages note of an attempt to save a form, and how that is undone."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from resto.exceptions import ConfigurationError, ReplicationError
from resto.record.attempts import Attempt, attempting, note_missed, note_replaced, note_stored, noting_failure


@pytest.fixture
def storage(tmp_path):
    return FileSystemStorage(tmp_path)


def store(storage, name):
    note_stored(storage, storage.save(name, ContentFile(name)))


def fail(error, content=None):
    with noting_failure(content):
        raise error


ERROR = ReplicationError("upload", "a.txt", [])


def test_what_was_stored_is_deleted_and_nothing_else(storage):
    store(storage, "before.txt")
    attempt = Attempt()
    with attempting(attempt):
        store(storage, "a.txt")
        store(storage, "b.txt")
    store(storage, "after.txt")
    attempt.undo()
    assert sorted(storage.listdir("")[1]) == ["after.txt", "before.txt"]


def test_save_that_fails_is_the_failure_of_the_attempt():
    attempt, content = Attempt(), ContentFile(b"a")
    with attempting(attempt), pytest.raises(ReplicationError):
        fail(ERROR, content)
    assert attempt.failed_with(ERROR).content is content
    assert attempt.failed_with(ReplicationError("upload", "a.txt", [])) is None


def test_what_is_no_error_of_resto_is_no_failure():
    attempt = Attempt()
    with attempting(attempt), pytest.raises(PermissionError):
        fail(PermissionError())
    assert attempt.failed_with(None) is attempt.failure is None


def test_nothing_is_stored_in_an_attempt_that_is_over():
    attempt = Attempt()
    with attempting(attempt):
        with pytest.raises(ReplicationError):
            fail(ERROR)
        with noting_failure(None):  # the site may go on meanwhile
            pass
        attempt.undo()
        with pytest.raises(ReplicationError) as caught, noting_failure(None):
            pytest.fail("it was stored")
    assert caught.value is ERROR


@pytest.mark.parametrize("error", [OSError("disk"), ConfigurationError("other disk"), ERROR])
def test_what_cannot_be_undone_keeps_nothing_else(storage, monkeypatch, caplog, error):
    def delete(name, *, delete=storage.delete):
        if name == "b.txt":
            raise error
        delete(name)

    monkeypatch.setattr(storage, "delete", delete)
    recorded, attempt = [], Attempt()

    def miss():
        raise error

    with attempting(attempt):
        note_missed(miss)
        note_missed(lambda: recorded.append(1))
        for name in ("a.txt", "b.txt", "c.txt"):
            store(storage, name)
    attempt.undo()
    assert (storage.listdir("")[1], recorded) == (["b.txt"], [1])
    aims = ["to record what hosts have missed", "to delete b.txt"]
    told = [] if error is ERROR else [f"Failed {aim}, after a form that is not saved." for aim in aims]
    assert [record.getMessage() for record in caplog.records] == told


def test_what_is_recorded_while_an_attempt_is_undone_is_not_done_again():
    attempt, recorded = Attempt(), []

    def record():
        recorded.append(1)
        note_missed(record)

    with attempting(attempt):
        note_missed(record)
        attempt.undo()
    assert recorded == [1]


def test_attempt_within_another_one_is_part_of_it(storage):
    outer, recorded = Attempt(), []
    with attempting(outer):
        with attempting(Attempt()):
            store(storage, "a.txt")
            note_replaced("old.txt")
            note_missed(lambda: recorded.append(1))
        store(storage, "b.txt")
    outer.undo()
    assert (storage.listdir("")[1], recorded, outer.replaced) == ([], [1], ["old.txt"])


def test_nothing_is_noted_without_an_attempt(storage):
    store(storage, "a.txt")
    note_replaced("a.txt")
    note_missed(pytest.fail)
    with pytest.raises(ReplicationError):
        fail(ERROR)
