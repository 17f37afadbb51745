import copy
import errno
import pickle

import pytest
from django.core.exceptions import ImproperlyConfigured

from resto import exceptions
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    JobRefusedError,
    LeaseLostError,
    RemoteDirectoryError,
    RemoteFileChangedError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    ReplicationError,
    RestoError,
    TransportError,
    UndecidedError,
    UnexpectedStatusCode,
)
from resto.outcomes import Outcome


SILENT = HostUnavailableError("media-2", "a.txt", "upload", "it stopped answering", ambiguous=True)
FULL = UnexpectedStatusCode("media-3", "a.txt", "upload", 507, "507 Insufficient Storage")
OUTCOMES = [
    Outcome("upload", "media-1", "a.txt", 0.1, value=False),
    Outcome("upload", "media-2", "a.txt", 2.0, error=SILENT),
    Outcome("upload", "media-3", "a.txt", 0.1, error=FULL),
]

ERRORS = [
    (
        TransportError("media-1", "a.txt", "size", ValueError("not a text")),
        OSError,
        "media-1: size of 'a.txt' failed: not a text",
    ),
    (RestoError("something"), Exception, "something"),
    (ConfigurationError("no hosts"), ImproperlyConfigured, "no hosts"),
    (ConfigurationError("no hosts", "Add one.", "E002"), ImproperlyConfigured, "no hosts (Add one.)"),
    (
        TransportError("media-1:8080", "d/é 1.txt", "size", "no idea"),
        OSError,
        "media-1:8080: size of 'd/é 1.txt' failed: no idea",
    ),
    (SILENT, OSError, "media-2: upload of 'a.txt' failed: it stopped answering"),
    (FULL, OSError, "media-3: upload of 'a.txt' failed: 507 Insufficient Storage"),
    (
        UndecidedError("media-2", "a.txt", "repair", "media-1 would know what it should have: connection refused"),
        OSError,
        "media-2: repair of 'a.txt' failed: media-1 would know what it should have: connection refused",
    ),
    (
        RemoteRefusedError("media-1", "a.txt", "upload", "no space"),
        OSError,
        "media-1: upload of 'a.txt' failed: no space",
    ),
    (
        RemoteFileNotFoundError("media-1", "a.txt", "download", "404 Not Found"),
        FileNotFoundError,
        "media-1: download of 'a.txt' failed: 404 Not Found",
    ),
    (
        RemoteFileChangedError("media-1", "a.txt", "download", "it is another one"),
        OSError,
        "media-1: download of 'a.txt' failed: it is another one",
    ),
    (
        RemoteDirectoryError("media-1", "a", "delete", "that is a directory"),
        IsADirectoryError,
        "media-1: delete of 'a' failed: that is a directory",
    ),
    (
        ReplicationError("upload", "a.txt", OUTCOMES),
        OSError,
        "upload of 'a.txt' failed on 2 of 3 hosts: media-2: it stopped answering; media-3: 507 Insufficient Storage",
    ),
    (
        ReplicationError("upload", "a.txt", OUTCOMES[:2], "the save was undone"),
        OSError,
        "upload of 'a.txt' failed on 1 of 2 hosts: media-2: it stopped answering (the save was undone)",
    ),
    (LeaseLostError("somebody else has taken over"), OSError, "somebody else has taken over"),
    (JobRefusedError("'a/' names a directory"), ValueError, "'a/' names a directory"),
]


@pytest.mark.parametrize(("error", "builtin", "text"), ERRORS)
def test_error(error, builtin, text):
    """An error has its text, fits a class that callers know, and travels between processes whole."""
    assert str(error) == text
    assert isinstance(error, RestoError)
    assert isinstance(error, builtin)
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == text
        assert [*state(other)] == [*state(error)]


def state(error):
    for name, value in [
        *sorted(vars(error).items()),
        ("cause", error.__cause__),
        ("errno", getattr(error, "errno", 0)),
    ]:
        yield name, str(value)


def test_all_errors_are_tested():
    kinds = {name for name in exceptions.__all__ if isinstance(getattr(exceptions, name), type)}
    assert {type(error).__name__ for error, _, _ in ERRORS} == kinds


def test_error_of_the_system_says_a_sentence():
    error = exceptions.os_error(FileNotFoundError, errno.ENOENT, "/media is missing.")
    assert (type(error), error.errno, str(error)) == (FileNotFoundError, errno.ENOENT, "/media is missing.")


@pytest.mark.parametrize(
    ("kind", "number"), [(RemoteFileNotFoundError, errno.ENOENT), (RemoteDirectoryError, errno.EISDIR)]
)
def test_error_of_a_host_has_the_number_of_the_system(kind, number):
    error = kind("media-1", "a", "delete", "no file")
    assert error.errno == number
    assert pickle.loads(pickle.dumps(error)).errno == number


def test_cause_of_replication_error_is_the_first_failure():
    assert ReplicationError("upload", "a.txt", OUTCOMES).__cause__ is SILENT


def test_cause_of_replication_error_survives_pickling():
    cause = pickle.loads(pickle.dumps(ReplicationError("upload", "a.txt", OUTCOMES))).__cause__
    assert isinstance(cause, HostUnavailableError)
    assert cause.ambiguous


def test_failures_of_replication_error():
    assert [outcome.host for outcome in ReplicationError("upload", "a.txt", OUTCOMES).failures] == [
        "media-2",
        "media-3",
    ]


def test_failure_that_is_not_a_transport_error_is_shown_with_its_class():
    outcome = Outcome("upload", "media-1", "a.txt", 0.1, error=ZeroDivisionError("division by zero"))
    assert str(ReplicationError("upload", "a.txt", [outcome])).endswith("media-1: ZeroDivisionError: division by zero")


def test_failure_that_is_false_is_a_failure():
    class EmptyError(Exception):
        def __len__(self):
            return 0

    error = ReplicationError("upload", "a.txt", [Outcome("upload", "media-1", "a.txt", 0.1, error=EmptyError())])
    assert isinstance(error.__cause__, EmptyError)
    assert len(error.failures) == 1


def test_status_is_an_attribute():
    assert FULL.status == 507


def test_unavailable_host_is_not_ambiguous_unless_it_says_so():
    assert not HostUnavailableError("media-1", "a.txt", "upload", "connection refused").ambiguous
