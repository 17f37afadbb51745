"""The transport of the docs, which keeps its files in folders: for mutants of it, that break a promise each."""

import io
import time
from pathlib import Path

from kit.documents import ROOT, load_module
from resto.courses import Arrival, as_method
from resto.exceptions import RemoteFileChangedError, RemoteFileNotFoundError
from resto.transports import Directory, Entry, FilePart, Version


folder = load_module(ROOT / "docs" / "write-a-transport.md", "resto_folder")
SECRET = "s3cret"


def soon():
    """What a course waits for that need not wait."""
    return Arrival(0, time.monotonic())


def in_steps(method):
    """Turn a method into a course that does it in its third step."""

    @as_method
    def course(self, *args):
        yield soon()
        yield soon()
        return method(self, *args)

    return course


class Folder(folder.FolderTransport):
    """The transport of the docs, and what it leaves out."""

    supports_scan = True
    supports_parts = True

    create = in_steps(folder.FolderTransport.create)
    exists = in_steps(folder.FolderTransport.exists)
    size = in_steps(folder.FolderTransport.size)
    delete = in_steps(folder.FolderTransport.delete)

    @classmethod
    def build(cls):
        return cls("/media/", timeout=0.05)

    def scan(self, host, prefix):
        folder.locate(host, prefix, "scan")
        directories, files = self.listdir(host, prefix)
        for file in files:
            name = str(Path(prefix, file))
            yield Entry(name, self.size(host, name), self.modified_time(host, name), None)
        for directory in directories:
            yield from self.scan(host, str(Path(prefix, directory)))

    def browse(self, host, name):
        try:
            directories, files = self.listdir(host, name)
        except RemoteFileNotFoundError:
            raise self.lost(host, name, "listdir") from None
        return Directory({*directories}, {file: self.size(host, str(Path(name, file))) for file in files})

    def open_part(self, host, name, start, end, version=None):
        with self.open(host, name) as stream:
            stat = path_of(host, name).stat()
            told = Version(stat.st_size, f"{stat.st_mtime_ns}-{stat.st_ino}")
            if version is not None and not told.is_same_as(version):
                raise RemoteFileChangedError(host, name, "download", "it was replaced")
            return FilePart(io.BytesIO(stream.read()[start:end]), told)

    def lost(self, host, name, action):
        return RemoteFileNotFoundError(host, name, action, "it is not there")


class Plain(folder.FolderTransport):
    """With as little as possible."""

    supports_listdir = supports_modified_time = False
    remove_directory = folder.Transport.remove_directory
    listdir = folder.Transport.listdir
    modified_time = folder.Transport.modified_time


def path_of(host, name):
    return Path(host, name)
