"""What an outcome means for the rows of its host."""

import pytest

from kit.record import FULL, REFUSED, SILENT, outcome
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteDirectoryError,
    RemoteFileNotFoundError,
    RemoteRefusedError,
    UnexpectedStatusCode,
)
from resto.outcomes import Outcome
from resto.record import meaning


@pytest.mark.parametrize(
    ("error", "expected"),
    [(None, False), (REFUSED, False), (SILENT, True), (FULL, False), (OSError(), True),
     (RemoteFileNotFoundError("media-1", "a", "delete", "404"), False),
     (RemoteRefusedError("media-1", "a", "upload", "it is full"), False), (ConfigurationError("another site"), False)],
)  # fmt: skip
def test_may_still_land(error, expected):
    assert meaning.may_still_land(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [(None, True), (REFUSED, False), (SILENT, False), (FULL, False),
     (RemoteDirectoryError("media-1", "a", "delete", "it is a directory"), True)],
)  # fmt: skip
def test_nothing_remains_where_a_directory_stands_in_the_place_of_a_file(error, expected):
    assert meaning.is_done(outcome("media-1", error)) is expected


@pytest.mark.parametrize(("action", "expected"), [("upload", True), ("repair", False)])
@pytest.mark.parametrize(
    ("name", "status", "is_impossible"),
    [("é" * 1000, 414, True), ("é" * 1000, 431, True), ("a", 414, True), ("a", 431, False), ("é" * 1000, 400, False)],
)
def test_nothing_remains_where_the_name_is_too_long(name, status, is_impossible, action, expected):
    """Without a master copy, others have the file."""
    error = UnexpectedStatusCode("media-1", name, "upload", status, "URI Too Long")
    assert meaning.is_done(Outcome(action, "media-1", name, 0.0, error=error)) is (expected and is_impossible)


def test_problem_says_which_error_it_was():
    assert meaning.problem_of(FULL) == FULL.problem
    assert meaning.problem_of(OSError("no space")) == "OSError: no space"


def test_refusal_of_a_breaker_has_the_cause_for_which_it_is_open():
    refusal = HostUnavailableError("media-1", "a", "upload", "it is not asked again", ambiguous=False)
    assert meaning.cause_of_refusal(refusal) is None
    refusal.__cause__ = REFUSED
    assert meaning.cause_of_refusal(refusal) is REFUSED
