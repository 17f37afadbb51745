"""Which directory of this machine a host is, and what the errors of its file system mean."""

import errno
import os

import pytest

from resto.exceptions import ConfigurationError, HostUnavailableError, RemoteDirectoryError, RemoteRefusedError
from resto.transports.directory import DirectoryTransport
from resto.transports.mounted import path_of, translated


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file:///mnt/nas", "file:///mnt/nas/"),
        ("file:///mnt/nas/", "file://localhost/mnt//./nas/"),
        ("file:///mnt/é/", "file:///mnt/%C3%A9"),
    ],
)
def test_spellings_of_a_directory_are_one_host(one, other):
    assert DirectoryTransport("/media/").identify(one) == DirectoryTransport("/media/").identify(other)
    assert path_of(one) == path_of(other)


@pytest.mark.parametrize(
    "host",
    [
        *("https://media-1/", "/mnt/nas", "file://media-1/mnt", "file:mnt", "file:///", "file:///mnt/../srv/"),
        *("file:///mnt/?a", "file:///mnt/%0A", "file:///mnt/%FF", " file:///mnt/", "file://[/"),
    ],
)
def test_what_is_no_directory_is_refused(host):
    with pytest.raises(ConfigurationError) as info:
        path_of(host)
    assert info.value.code == "E003"


@pytest.mark.parametrize(
    ("apps", "expected"),
    [
        (["resto"], "it is not mounted, or has lost its files; .* run: manage.py resto_adopt --host"),
        ([], "is its file system mounted.*make that file yourself, empty"),
    ],
)
def test_file_that_is_missing_is_made_by_hand_only_without_a_record(tmp_path, settings, apps, expected):
    settings.INSTALLED_APPS = apps
    with pytest.raises(HostUnavailableError, match=rf"no file \.resto\.host, .*{expected}") as info:
        DirectoryTransport("/media/").exists(tmp_path.as_uri(), "a.txt")
    assert ("yourself" in str(info.value)) is not bool(apps)


@pytest.mark.parametrize(
    ("number", "kind", "is_ambiguous"),
    [
        (errno.ESTALE, HostUnavailableError, True),
        (errno.EIO, HostUnavailableError, True),
        (errno.EISDIR, RemoteDirectoryError, None),
        *(
            (number, RemoteRefusedError, None)
            for number in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG)
        ),
    ],
)
def test_errors_of_the_system_are_those_of_the_host(number, kind, is_ambiguous):
    error = translated(OSError(number, os.strerror(number)), "file:///mnt/nas/", "a.txt", "upload", ambiguous=True)
    assert type(error) is kind
    assert (error.host, error.name, error.action) == ("file:///mnt/nas/", "a.txt", "upload")
    assert getattr(error, "ambiguous", None) is is_ambiguous
