"""Each promise of transports is one that can be broken: the contract finds out, and lets the transport of the docs pass."""

import io
import logging
import os
import random
import shutil
import socket
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from kit.contracts import Mutants, fails, keeps, promises
from kit.documents import ROOT, load_module
from resto.courses import Arrival, as_method
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.testing import TransportContract
from resto.transports import Directory, Entry


folder = load_module(ROOT / "docs" / "write-a-transport.md", "resto_folder")
SECRET = "s3cret"
BROKEN = Mutants()
breaks = BROKEN.breaks


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

    def lost(self, host, name, action):
        return RemoteFileNotFoundError(host, name, action, "it is not there")


class Plain(folder.FolderTransport):
    """With as little as possible."""

    supports_listdir = supports_modified_time = False
    remove_directory = folder.Transport.remove_directory
    listdir = folder.Transport.listdir
    modified_time = folder.Transport.modified_time


@pytest.fixture
def suite(tmp_path):
    suite = TransportContract()
    suite.unreachable_host = str(tmp_path / "not-mounted")
    suite.secret = SECRET
    suite.replaces_at_once = True
    suite.max_examples = 10
    suite.patience = 5
    return suite


@pytest.fixture
def host(tmp_path):
    (tmp_path / "host").mkdir()
    return str(tmp_path / "host")


@pytest.mark.parametrize("promise", promises(TransportContract))
@pytest.mark.parametrize(("transport", "has_directories"), [(Folder, True), (Folder, False), (Plain, True)])
def test_transport_of_the_docs_keeps_the_promise(suite, promise, host, request, transport, has_directories):
    suite.makes_directories = has_directories
    keeps(suite, promise, request, transport_and_host=(transport("/media/", timeout=2), host))


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(suite, mutant, host, request):
    assert fails(suite, mutant.promise, request, transport_and_host=(mutant.cls.build(), host))


def test_every_promise_has_been_broken():
    assert {mutant.promise for mutant in BROKEN} == {*promises(TransportContract)}


def test_constructor_may_need_an_option(suite, host, request):
    class NeedsAnOption(Folder):
        def __init__(self, base_url, *, account, timeout=2):
            super().__init__(base_url, timeout=timeout)

    transport = NeedsAnOption("/media/", account="media")
    for promise in ("test_constructor_takes_what_storages_give", "test_constructor_touches_no_network"):
        keeps(suite, promise, request, transport_and_host=(transport, host))


@pytest.mark.parametrize(
    ("attribute", "promise"),
    [("unreachable_host", "test_unreachable_host_is_an_error"), ("secret", "test_secret_never_shows")],
)
def test_what_the_suite_is_not_told_is_skipped(suite, host, request, attribute, promise):
    setattr(suite, attribute, None)
    with pytest.raises(pytest.skip.Exception, match=f"TransportContract has no '{attribute}'"):
        keeps(suite, promise, request, transport_and_host=(Folder.build(), host))


def test_what_is_not_promised_need_not_be_kept(suite, host, request):
    suite.replaces_at_once = False
    suite.keeps_files_in_memory = True
    suite.unreachable_host = None
    keeps(suite, "test_readers_see_whole_files", request, transport_and_host=(WritesInPlace.build(), host))
    keeps(suite, "test_upload_is_a_stream", request, transport_and_host=(HoldsUploads.build(), host))
    keeps(suite, "test_host_has_an_identity", request, transport_and_host=(IdentifiesNothing.build(), host))


def path_of(host, name):
    return Path(host, name)


# How it is made.


@breaks("test_constructor_takes_what_storages_give")
class TakesNoTimeout(Folder):
    def __init__(self, base_url):
        super().__init__(base_url)

    @classmethod
    def build(cls):
        return cls("/media/")


@breaks("test_constructor_takes_what_storages_give")
class ForgetsTheTimeout(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=0)


@breaks("test_constructor_touches_no_network")
class Connects(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 1))


@breaks("test_constructor_touches_no_network")
class EvaluatesTheUrl(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(str(base_url), timeout=timeout)


@breaks("test_flags_are_booleans")
class IsNotSure(Folder):
    supports_listdir = None


@breaks("test_host_has_an_identity")
class IdentifiesNothing(Folder):
    def identify(self, host):
        return ""


@breaks("test_host_has_an_identity")
class IdentifiesByChance(Folder):
    def identify(self, host):
        return str(random.random())


# Files.


@breaks("test_new_file_can_be_read", "test_any_name_is_a_name")
class SaysThatItWasThere(Folder):
    def create(self, host, name, content):
        super().create(host, name, content)
        return True


@breaks("test_new_file_can_be_read", "test_create_replaces_a_file")
class StoresNothing(Folder):
    def create(self, host, name, content):
        return False


@breaks("test_create_replaces_a_file")
class LeavesTheRest(Folder):
    def create(self, host, name, content):
        if not self.exists(host, name):
            return super().create(host, name, content)
        with path_of(host, name).open("r+b") as file:
            file.write(content)
        return True


@breaks("test_create_replaces_a_file")
class KeepsTheOld(Folder):
    def create(self, host, name, content):
        return self.exists(host, name) or super().create(host, name, content)


@breaks("test_any_content_comes_back")
class CutsOff(Folder):
    def create(self, host, name, content):
        content = content if isinstance(content, bytes) else content.read()
        return super().create(host, name, content[:65_536])


@breaks("test_any_content_comes_back")
class TakesItForText(Folder):
    def content(self, host, name):
        return super().content(host, name).replace(b"\r\n", b"\n").replace(b"\x00", b"")


@breaks("test_any_name_is_a_name")
class KnowsEnglishOnly(Folder):
    def create(self, host, name, content):
        return super().create(host, name.encode("ascii").decode(), content)


class Renames(Folder):
    """Takes a name for another one."""

    def change(self, name):
        raise NotImplementedError

    def open(self, host, name):
        return super().open(host, self.change(name))

    def exists(self, host, name):
        return super().exists(host, self.change(name))

    def size(self, host, name):
        return super().size(host, self.change(name))

    def create(self, host, name, content):
        return super().create(host, self.change(name), content)

    def delete(self, host, name):
        return super().delete(host, self.change(name))


@breaks("test_names_are_taken_literally")
class Decodes(Renames):
    change = staticmethod(unquote)


@breaks("test_names_are_taken_literally")
class HasAQuery(Renames):
    def change(self, name):
        return name.partition("?")[0]


@breaks("test_names_are_taken_literally")
class HasAFragment(Renames):
    def change(self, name):
        return name.partition("#")[0]


@breaks("test_names_are_taken_literally")
class Strips(Renames):
    def change(self, name):
        return name.strip(" .")


@breaks("test_names_may_be_deep")
class MakesOneDirectory(Folder):
    def create(self, host, name, content):
        path_of(host, name).parent.mkdir(exist_ok=True)
        return super().create(host, name, content)


@breaks("test_delete_removes_one_file")
class DeletesNothing(Folder):
    def delete(self, host, name):
        return self.exists(host, name)


@breaks("test_delete_removes_one_file")
class DeletesMore(Folder):
    def delete(self, host, name):
        for file in Path(host).glob("*.txt"):
            file.unlink()
        return True


@breaks("test_directory_is_never_harmed")
class DeletesDirectories(Folder):
    def delete(self, host, name):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().delete(host, name)


@breaks("test_directory_is_never_harmed")
class ReplacesDirectories(Folder):
    def create(self, host, name, content):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return super().create(host, name, content)


@breaks("test_file_is_never_made_a_directory")
class ReplacesParents(Folder):
    def create(self, host, name, content):
        if path_of(host, name).parent.is_file():
            path_of(host, name).parent.unlink()
        return super().create(host, name, content)


# Files that are not there.


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class RemovesDirectoriesOfTheSite(Folder):
    def remove_directory(self, host, name):
        shutil.rmtree(path_of(host, name), ignore_errors=True)
        return True


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class RemovesFilesOnly(Folder):
    def remove_directory(self, host, name):
        for path in path_of(host, name).glob("*.txt"):
            path.unlink()
        return True


@breaks("test_directory_is_removed_with_all_that_is_in_it")
class ForgetsThatItRemovesDirectories(Folder):
    def remove_directory(self, host, name):
        there = path_of(host, name).exists()
        return super().remove_directory(host, name) and not there


@breaks("test_absent_file_does_not_exist")
class TakesAbsenceForAFailure(Folder):
    def exists(self, host, name):
        return self.size(host, name) >= 0


@breaks("test_absent_file_cannot_be_read")
class ReadsNothing(Folder):
    def open(self, host, name):
        return super().open(host, name) if self.exists(host, name) else io.BytesIO()


@breaks("test_absent_file_cannot_be_read")
class MeasuresNothing(Folder):
    def size(self, host, name):
        return super().size(host, name) if self.exists(host, name) else 0


@breaks("test_absent_file_cannot_be_read")
class RaisesWhatItGets(Folder):
    def open(self, host, name):
        return path_of(host, name).open("rb")


@breaks("test_absent_file_cannot_be_read", "test_unreachable_host_is_an_error")
class NamesAnotherHost(Folder):
    def size(self, host, name):
        try:
            return super().size(host, name)
        except TransportError as error:
            error.host = "another"
            raise


@breaks("test_absent_file_can_be_deleted")
class CannotDeleteWhatIsAbsent(Folder):
    def delete(self, host, name):
        return self.size(host, name) >= 0 and super().delete(host, name)


# Streams.


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


# Failures.


@breaks("test_unreachable_host_is_an_error")
class TakesSilenceForAbsence(Folder):
    def exists(self, host, name):
        return path_of(host, name).is_file()


@breaks("test_unreachable_host_is_an_error")
class SwallowsErrors(Folder):
    def delete(self, host, name):
        with suppress(TransportError):
            return super().delete(host, name)
        return False


@breaks("test_unreachable_host_is_an_error")
class RaisesSomethingElse(Folder):
    def create(self, host, name, content):
        try:
            return super().create(host, name, content)
        except HostUnavailableError as error:
            raise ConnectionError(host) from error


@breaks("test_unreachable_host_is_an_error")
class KnowsNoDifference(Folder):
    def size(self, host, name):
        try:
            return super().size(host, name)
        except HostUnavailableError as error:
            raise TransportError(host, name, "size", error.problem) from error


@breaks("test_unreachable_host_is_an_error")
class HasNoHurry(Folder):
    def delete(self, host, name):
        time.sleep(1.2)
        return super().delete(host, name)


class UnpicklableError(RemoteFileNotFoundError):
    def __init__(self, host, name, action, *, path):
        super().__init__(host, name, action, f"there is no {path}")


@breaks("test_errors_can_be_pickled")
class CannotBePickled(Folder):
    def size(self, host, name):
        raise UnpicklableError(host, name, "size", path=path_of(host, name))


@breaks("test_secret_never_shows")
class TellsTheSecret(Folder):
    def size(self, host, name):
        raise RemoteFileNotFoundError(host, name, "size", f"the host refused {SECRET}")


@breaks("test_secret_never_shows")
class ChainsTheSecret(Folder):
    def size(self, host, name):
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise self.lost(host, name, "size") from error


@breaks("test_secret_never_shows")
class LogsTheSecret(Folder):
    def size(self, host, name):
        logging.getLogger("folder").debug("Logging in with %s.", SECRET)
        return super().size(host, name)


@breaks("test_secret_never_shows")
class ShowsTheSecret(Folder):
    def __repr__(self):
        return f"ShowsTheSecret({SECRET!r})"


@breaks("test_stranger_is_one_more_transport")
class IsItsOwnStranger(Folder):
    def without_credentials(self):
        return self


@breaks("test_stranger_is_one_more_transport")
class HasAnotherKindOfStranger(Folder):
    def without_credentials(self):
        return "anonymous"


@breaks("test_stranger_is_one_more_transport")
class IsClosedByTheStranger(Folder):
    def without_credentials(self):
        stranger = Folder.build()
        stranger.close = lambda: setattr(self, "create", None)
        return stranger


# Courses.


@breaks("test_course_is_the_action")
class YieldsSomethingElse(Folder):
    @as_method
    def exists(self, host, name):
        yield "soon"
        return super().exists(host, name)


@breaks("test_course_is_the_action")
class HasAnotherClock(Folder):
    @as_method
    def exists(self, host, name):
        yield Arrival(0, time.time())
        return super().exists(host, name)


@breaks("test_course_is_the_action")
class ForgetsTheResult(Folder):
    @as_method
    def size(self, host, name):
        yield soon()
        super().size(host, name)


@breaks("test_course_is_the_action")
class FailsInAnotherWay(Folder):
    @as_method
    def size(self, host, name):
        yield soon()
        return super().size(host, name) if self.exists(host, name) else None


@breaks("test_course_is_the_action")
class DeletesBeforeItWaits(Folder):
    """And again when it is begun anew."""

    @as_method
    def delete(self, host, name):
        existed = super().delete(host, name)
        yield None
        return existed


@breaks("test_course_is_the_action")
class ReadsBeforeItWaits(Folder):
    @as_method
    def create(self, host, name, content):
        content = content if isinstance(content, bytes) else content.read()
        yield None
        return super().create(host, name, content)


class IsAnsweredLater(Folder):
    """Waits for an answer, which takes a while to arrive."""

    @as_method
    def exists(self, host, name):
        arrives = time.monotonic() + 0.05
        yield Arrival(0, arrives)
        return self.answer(arrives) and super().exists(host, name)

    def answer(self, arrives):
        raise NotImplementedError


@breaks("test_course_is_the_action")
class TakesSilenceForNo(IsAnsweredLater):
    def answer(self, arrives):
        return time.monotonic() >= arrives


@breaks("test_course_is_the_action")
class FailsIfThereIsNoAnswerYet(IsAnsweredLater):
    def answer(self, arrives):
        if time.monotonic() < arrives:
            raise BlockingIOError
        return True


@breaks("test_course_may_be_given_up")
class DoesNotGiveUp(Folder):
    @as_method
    def size(self, host, name):
        try:
            yield soon()
        except GeneratorExit:
            yield soon()
        return super().size(host, name)


@breaks("test_course_may_be_given_up")
class KeepsAnswersThatNobodyRead(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        self.answers = []

    @as_method
    def size(self, host, name):
        self.answers.append(super().size(host, name))
        yield soon()
        return self.answers.pop(0)


@breaks("test_course_may_be_given_up")
class StaysBusy(Folder):
    is_busy = False

    @as_method
    def delete(self, host, name):
        self.is_busy = True
        yield soon()
        self.is_busy = False
        return super().delete(host, name)

    @as_method
    def size(self, host, name):
        yield soon()
        if self.is_busy:
            raise HostUnavailableError(host, name, "size", "its only connection is in use")
        return super().size(host, name)


# Threads and processes.


@breaks("test_threads_may_share_it")
class MixesThreads(Folder):
    def create(self, host, name, content):
        self.name = name
        time.sleep(0.002)
        return super().create(host, self.name, content)


@breaks("test_forked_child_may_use_it")
class IsTiedToItsProcess(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        self.process = os.getpid()

    def open(self, host, name):
        if os.getpid() != self.process:
            raise HostUnavailableError(host, name, "download", "the thread that does this is in another process")
        return super().open(host, name)


@breaks("test_close_is_not_the_end")
class IsClosedForEver(Folder):
    is_closed = False

    def close(self):
        self.is_closed = True

    def open(self, host, name):
        if self.is_closed:
            raise ValueError("the transport is closed")
        return super().open(host, name)


@breaks("test_readers_see_whole_files")
class WritesInPlace(Folder):
    def create(self, host, name, content):
        with path_of(host, name).open("wb") as file:
            for start in range(0, len(content), 100_000):
                file.write(content[start : start + 100_000])
                time.sleep(0.001)
        return True


# What it may be able to do.


@breaks("test_modified_time_is_recent")
class HasNoTimeZone(Folder):
    def modified_time(self, host, name):
        return datetime.fromtimestamp(super().modified_time(host, name).timestamp())


@breaks("test_modified_time_is_recent")
class LivesElsewhere(Folder):
    def modified_time(self, host, name):
        return super().modified_time(host, name) + timedelta(hours=1)


@breaks("test_modified_time_is_recent")
class CanTellTheTime(Folder):
    supports_modified_time = False


@breaks("test_listdir_tells_what_is_in_a_directory")
class CanList(Folder):
    supports_listdir = False


@breaks("test_listdir_tells_what_is_in_a_directory", "test_browse_tells_what_is_in_a_directory")
class ListsFilesOnly(Folder):
    def listdir(self, host, name):
        return [], super().listdir(host, name)[1]


@breaks("test_listdir_tells_what_is_in_a_directory", "test_browse_tells_what_is_in_a_directory")
class ListsWhatIsAbsent(Folder):
    def listdir(self, host, name):
        return super().listdir(host, name) if path_of(host, name).is_dir() else ([], [])


@breaks("test_listdir_tells_what_is_in_a_directory")
class TakesFilesForDirectories(Folder):
    def listdir(self, host, name):
        return ([], []) if path_of(host, name).is_file() else super().listdir(host, name)


@breaks("test_any_name_is_a_name", "test_names_are_taken_literally")
class ListsAnotherName(Folder):
    def listdir(self, host, name):
        directories, files = super().listdir(host, name)
        return directories, [ascii(file) for file in files]


@breaks("test_listdir_tells_what_is_in_a_directory")
class ListsWholeNames(Folder):
    def listdir(self, host, name):
        directories, files = super().listdir(host, name)
        return directories, [str(Path(name, file)) for file in files]


@breaks("test_scan_finds_every_file")
class CanScan(Folder):
    supports_scan = False


@breaks("test_scan_finds_every_file")
class ScansAllAtOnce(Folder):
    def scan(self, host, prefix):
        return list(super().scan(host, prefix))


@breaks("test_scan_finds_every_file")
class ScansOneLevel(Folder):
    def scan(self, host, prefix):
        return (entry for entry in super().scan(host, prefix) if entry.name.count("/") < 2)


@breaks("test_scan_finds_every_file")
class ScansSizesInBlocks(Folder):
    def scan(self, host, prefix):
        return (Entry(entry.name, 4096, None, None) for entry in super().scan(host, prefix))


@breaks("test_browse_tells_what_is_in_a_directory")
class BrowsesSizesInBlocks(Folder):
    def browse(self, host, name):
        found = super().browse(host, name)
        return Directory(found.directories, dict.fromkeys(found.files, 4096))
