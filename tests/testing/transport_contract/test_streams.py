"""Streams, and transports that hold, close, cut or mix them."""

import io
from contextlib import suppress

import pytest

from kit.contracts import Mutants, keeps, promises
from kit.folder_transport import Folder, folder, path_of
from resto.exceptions import HostUnavailableError, TransportError
from resto.testing import TransportContract
from resto.testing.transport_contract.streams import Streams


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Streams)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


def test_memory_of_files_is_not_that_of_the_transport(suite, host, request):
    suite.keeps_files_in_memory = True
    keeps(suite, "test_upload_is_a_stream", request, transport_and_host=(HoldsUploads.build(), host))


@breaks("test_upload_begins_at_the_start")
class SendsTheRest(Folder):
    def create(self, host, name, content):
        return super().create(host, name, content if isinstance(content, bytes) else content.read())


@breaks("test_upload_begins_at_the_start")
class ClosesTheFile(Folder):
    def create(self, host, name, content):
        existed = super().create(host, name, content)
        if not isinstance(content, bytes):
            content.close()
        return existed


@breaks("test_upload_takes_a_pipe")
class AlwaysRewinds(Folder):
    def create(self, host, name, content):
        if not isinstance(content, bytes):
            content.seek(0)
        return super().create(host, name, content)


@breaks("test_upload_of_what_cannot_be_read_fails")
class StoresTheHalf(Folder):
    def create(self, host, name, content):
        with path_of(host, name).open("wb") as file, suppress(OSError):
            folder.write(content, file)
        return False


@breaks("test_upload_of_what_cannot_be_read_fails")
class BlamesTheHost(Folder):
    def create(self, host, name, content):
        try:
            return super().create(host, name, content)
        except TransportError as error:
            raise HostUnavailableError(host, name, "upload", error.problem) from error


@breaks("test_upload_is_a_stream")
class HoldsUploads(Folder):
    def create(self, host, name, content):
        return super().create(host, name, content if isinstance(content, bytes) else content.read())


@breaks("test_download_is_a_stream")
class HoldsDownloads(Folder):
    def open(self, host, name):
        with super().open(host, name) as stream:
            return io.BytesIO(stream.read())


@breaks("test_stream_can_be_read_piece_by_piece")
class BeginsAgain(Folder):
    def open(self, host, name):
        stream = super().open(host, name)
        stream.read = lambda size=-1: self.content_of(host, name)[: size if size >= 0 else None]
        return stream

    def content_of(self, host, name):
        return path_of(host, name).read_bytes()


@breaks("test_stream_can_be_read_piece_by_piece")
class LosesBytes(Folder):
    def open(self, host, name):
        stream = super().open(host, name)
        read = stream.read
        stream.read = lambda size=-1: read(size)[:4000]
        return stream


@breaks("test_stream_may_be_left_unread")
class HasOneConnection(Folder):
    """Over which the answers follow each other."""

    left = None

    def open(self, host, name):
        if self.left is not None and not self.left.closed:
            return io.BytesIO(self.left.read())
        self.left = super().open(host, name)
        return self.left
