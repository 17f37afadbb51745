"""One host's copy is made equal to the master copy."""

import os

import pytest
from django.core.files.base import ContentFile

from kit.memory import collecting_left
from resto.courses import finish
from resto.exceptions import HostUnavailableError, LeaseLostError, TransportError, UnexpectedStatusCode
from resto.master.copy import MasterCopy
from resto.master.snapshots import Snapshot
from resto.storage.replication import MAX_ROUNDS, replicate
from resto.transports.http import HttpTransport
from resto.transports.steps import VERIFY_SIZE


@pytest.fixture
def master(media_root):
    media_root.mkdir()
    return MasterCopy(allow_overwrite=True)


@pytest.fixture
def server(resto_server_factory):
    return resto_server_factory(webdav=False)


@pytest.fixture
def timeout():
    """Seconds; the tests of a host that hangs have a shorter one."""
    return 10


@pytest.fixture
def run(master, server, timeout):
    """Replicate a name to the server."""
    transport = HttpTransport("", timeout=timeout)
    transport.try_directories(server.url)
    server.log.clear()
    server.requests.clear()
    return lambda name="a": finish(replicate(transport, master, server.url, name, "upload"))


def store(master, content, name="a"):
    master.store(name, ContentFile(content), None)


def test_failure_leaves_nothing_in_memory(master, server, run):
    store(master, b"content")
    server.readonly = True
    with collecting_left(Snapshot) as left, pytest.raises(UnexpectedStatusCode):
        run()
    assert left == []


def methods(server):
    return [method for method, _, _ in server.log if method != "HEAD"]


def once(server, act):
    """Let something happen while the next PUT or DELETE is under way: after it was applied, before it is answered."""

    def hook(method, path):
        if method != "HEAD":
            server.on_applied = None
            act()

    server.on_applied = hook


def test_present_file_is_sent(master, server, run):
    store(master, b"content")

    assert run() is False
    assert server.get_file("a") == b"content"


def test_file_that_the_host_had_is_replaced(master, server, run):
    server.create_file("a", b"old")
    store(master, b"content")

    assert run() is True
    assert server.get_file("a") == b"content"


def test_absent_file_is_deleted(server, run):
    server.create_file("a", b"old")

    assert run() is True
    assert not server.has_file("a")


def test_file_that_nobody_has_stays_absent(server, run):
    assert run() is False
    assert dict(server.files) == {}


def test_directory_in_the_place_of_a_file_counts_as_absence(master, server, run):
    server.create_file("a", b"old")
    store(master, b"content", "a/b")

    run("a")

    assert dict(server.files) == {}


def test_one_request_is_enough_when_nothing_changes(master, server, run):
    store(master, b"content")

    run()

    assert methods(server) == ["PUT"]


def test_deletion_during_the_upload_is_sent_after_it(master, server, run):
    store(master, b"content")
    once(server, lambda: master.delete("a"))

    run()

    assert methods(server) == ["PUT", "DELETE"]
    assert dict(server.files) == {}


def test_new_content_during_the_upload_is_sent_after_it(master, server, run):
    store(master, b"first")
    once(server, lambda: store(master, b"other"))

    run()

    assert server.get_file("a") == b"other"


def test_new_file_during_the_deletion_is_sent_after_it(master, server, run):
    server.create_file("a", b"old")
    once(server, lambda: store(master, b"content"))

    assert run() is True
    assert methods(server) == ["DELETE", "PUT"]
    assert server.get_file("a") == b"content"


def test_what_the_first_request_told_is_returned(master, server, run):
    """The second one finds what the first one has left."""
    store(master, b"first")
    once(server, lambda: store(master, b"other"))

    assert run() is False


def test_master_copy_that_never_rests_is_given_up(master, server, run):
    store(master, b"0")
    server.on_applied = lambda method, path: store(master, b"content")

    with pytest.raises(TransportError, match=rf"the master copy changed {MAX_ROUNDS} times while it was sent"):
        run()
    assert len(methods(server)) in (MAX_ROUNDS, MAX_ROUNDS + 1)


def test_refusal_is_raised_when_nothing_has_changed(master, server, run):
    store(master, b"content")
    server.refuse_code = 500

    with pytest.raises(UnexpectedStatusCode):
        run()
    assert methods(server) == ["PUT"]


def test_refusal_of_what_is_no_longer_true_is_forgotten(master, server, run):
    store(master, b"content")

    def change(method, path):
        server.on_request = None
        master.delete("a")

    server.on_request = change
    server.fault_methods, server.refuse_code = {"PUT"}, 500

    assert run() is False
    assert methods(server) == ["PUT", "DELETE"]


@pytest.mark.parametrize("timeout", [0.3])
def test_host_that_does_not_answer_is_not_asked_again(master, server, run):
    """It would cost another timeout."""
    store(master, b"content")
    server.hang = True
    server.on_request = lambda method, path: store(master, b"other")

    with pytest.raises(HostUnavailableError):
        run()
    assert [request.method for request in server.requests] == ["PUT"]


def test_missing_location_deletes_nothing(server, run, media_root):
    server.create_file("a", b"content")
    media_root.rmdir()

    with pytest.raises(FileNotFoundError, match="is it mounted"):
        run()
    assert server.requests == []


def test_location_that_goes_missing_deletes_nothing(master, server, run, media_root):
    store(master, b"content")
    once(server, lambda: media_root.rename(media_root.with_name("elsewhere")))

    with pytest.raises(FileNotFoundError, match="is it mounted"):
        run()
    assert server.get_file("a") == b"content"


def test_replication_that_cannot_begin_at_once_does_nothing(master, server):
    class PlainTransport(HttpTransport):
        def create(self, host, name, content):
            raise AssertionError

    store(master, b"content")

    course = replicate(PlainTransport(""), master, server.url, "a", "upload")
    assert next(course) is None
    course.close()
    assert server.requests == []


LARGE = b"content" * VERIFY_SIZE  # so that its size is checked


def test_host_that_another_process_overwrites_meanwhile_is_sent_the_file_again(master, server, run):
    """The other process sends an older state, and has not yet noticed."""
    store(master, LARGE)
    once(server, lambda: server.create_file("a", b"older"))

    run()

    assert server.get_file("a") == LARGE
    assert methods(server) == ["PUT", "PUT"]


@pytest.fixture
def between_pieces(monkeypatch):
    """Let something happen after each piece of a file that is sent unread."""
    own = os.sendfile

    def during(act):
        def send(socket, file, position, size):
            sent = own(socket, file, position, min(size, 100_000))
            act()
            return sent

        monkeypatch.setattr(os, "sendfile", send)

    return during


def test_file_that_is_overwritten_in_place_while_it_is_sent_is_sent_again(
    master, server, run, media_root, between_pieces
):
    store(master, LARGE)
    newer = iter([LARGE[::-1]])
    between_pieces(lambda: [(media_root / "a").write_bytes(one) for one in newer])

    run()

    assert server.get_file("a") == LARGE[::-1]
    assert methods(server) == ["PUT", "PUT"]


def test_lease_is_kept_between_the_pieces_of_a_file_that_is_sent(master, server, between_pieces):
    class Lease:
        in_doubt = False
        kept = 0

        def keep(self):
            self.kept += 1
            if self.kept > 5:
                raise LeaseLostError("somebody else has taken over")

    store(master, LARGE)
    between_pieces(list)
    with pytest.raises(LeaseLostError):
        finish(replicate(HttpTransport("", timeout=10), master, server.url, "a", "upload", Lease()))
    assert server.files == {}
    assert server.requests[0].body_size < 600_000


def test_host_that_never_keeps_what_it_gets_is_an_error(master, server, run):
    server.truncate_upload = 3
    store(master, LARGE)

    with pytest.raises(TransportError, match="it stored 3 of"):
        run()
    assert 1 < len(methods(server)) < MAX_ROUNDS
