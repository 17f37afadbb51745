"""What a visitor is told."""

import pytest

from kit.albums import UNAVAILABLE, sentence
from resto.exceptions import HostUnavailableError, LeaseLostError, ReplicationError, UnexpectedStatusCode
from resto.forms import words
from resto.outcomes import Outcome


def outcome(host, error):
    return Outcome("upload", host, "a.txt", 0.0, error=error)


def silent(host):
    return outcome(host, HostUnavailableError(host, "a.txt", "upload", "refused"))


A, B = "https://editor@media-1.example.com:8080/media/", "http://media-2.example.com/"
FULL = outcome(B, UnexpectedStatusCode(B, "a.txt", "upload", 507, "no room"))


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([silent(B)], "media-2.example.com does not answer"),
        ([silent(A), silent(B)], "media-1.example.com:8080, media-2.example.com do not answer"),
        ([FULL, silent(A)], "media-1.example.com:8080 does not answer, media-2.example.com refuses it (status 507)"),
        ([outcome(A, ValueError("secret"))], "it failed on media-1.example.com:8080"),
        ([outcome("/srv/mirror/", OSError())], "it failed on /srv/mirror/"),
        ([], UNAVAILABLE),
    ],
)
def test_hosts_are_named_without_what_is_between_us(outcomes, reason):
    assert words.not_stored(ReplicationError("upload", "a.txt", outcomes), []) == sentence(reason)


def test_deletions_are_told_by_what_became_of_the_object():
    error = ReplicationError("delete", "a.txt", [silent(B)])
    told = [words.not_deleted(error, is_deleted=is_deleted) for is_deleted in (False, True)]
    assert told == [
        "Not deleted: media-2.example.com does not answer. Files may be gone already. Delete it again.",
        "Deleted, but not every file of it: media-2.example.com does not answer.",
    ]


def test_lease_that_was_lost(caplog):
    assert words.not_stored(LeaseLostError("too late"), []) == sentence(UNAVAILABLE)
    assert "Failed to store or delete a file of a form. too late" in caplog.text
