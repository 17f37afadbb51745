"""AsyncStorage: nobody waits for the hosts, and nothing is lost."""

import pickle
import queue
import random
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from django.core.files.base import ContentFile

from resto.executors import Executor
from resto.health import MAX_FAILURES
from resto.storage import AsyncStorage


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def make(servers, media_root):
    media_root.mkdir()
    return lambda storage_class=AsyncStorage, **options: storage_class(
        [server.url for server in servers], "/media/", **options
    )


def drain(storage, *names):
    """Wait until all that was given to the storage's executor is done: each lane is served in order."""
    for name in names:
        storage._run(lambda host, name: None, storage.hosts, name)


def test_save_does_not_wait(make, servers):
    storage, answer = make(), threading.Event()
    for server in servers:
        server.on_request = lambda method, path: answer.wait(10)

    assert storage.save("a", ContentFile(b"content")) == "a"
    assert [dict(server.files) for server in servers] == [{}, {}]

    answer.set()
    drain(storage, "a")
    assert [dict(server.files) for server in servers] == [{"a": b"content"}] * 2


def test_delete_and_written_files_do_not_wait_either(make, servers):
    storage, answer = make(), threading.Event()
    for server in servers:
        server.on_request = lambda method, path: answer.wait(10)

    with storage.open("a", "wb") as file:
        file.write(b"content")
    storage.delete("a")
    with storage.open("b", "wb") as file:
        file.write(b"content")
    assert [dict(server.files) for server in servers] == [{}, {}]

    answer.set()
    drain(storage, "a", "b")
    assert [dict(server.files) for server in servers] == [{"b": b"content"}] * 2


@pytest.mark.parametrize("fatal", [True, False])
def test_failure_is_logged_and_the_file_is_kept(make, servers, media_root, caplog, fatal):
    storage = make(fatal_exceptions=fatal)
    servers[0].refuse = True

    storage.save("a", ContentFile(b"content"))
    drain(storage, "a")

    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to upload a on {servers[0].url}. Connection refused."
    ]
    assert (media_root / "a").exists()
    assert servers[1].get_file("a") == b"content"


def test_host_that_cannot_be_reached_is_not_asked(make, servers, caplog, breaker_clock):
    storage = make(executor="inline")
    servers[0].drop_answer = True
    names = [f"{number}" for number in range(MAX_FAILURES + 2)]
    for name in names:
        storage.save(name, ContentFile(b""))

    assert len(servers[0].requests) == MAX_FAILURES
    reasons = [record.getMessage().partition(". ")[2] for record in caplog.records]
    assert ["it is not asked again for 1 s" in reason for reason in reasons] == [False] * MAX_FAILURES + [True] * 2
    assert sorted(servers[1].files) == names


def test_delete_then_save_of_one_name_keeps_their_order(make, servers):
    """As thumbnail libraries do; the ancestor lost a third of the files."""
    storage, jitter = make(), random.Random(0)
    pauses = threading.Event()  # never set: it only waits
    for server in servers:
        server.on_request = lambda method, path: pauses.wait(jitter.random() * 0.004)
    names = [f"{number}.jpg" for number in range(20)]

    for round_ in range(10):
        for name in names:
            storage.delete(name)
            assert storage.save(name, ContentFile(b"%d" % round_)) == name
    drain(storage, *names)

    assert [dict(server.files) for server in servers] == [dict.fromkeys(names, b"9")] * 2


class UnorderedExecutor(Executor):
    """Knows nothing of what others run, as if it were in another process."""

    def run(self, jobs):
        return [job.run() for job in jobs]

    def submit(self, jobs):
        self.run(jobs)


def test_two_processes_that_delete_and_save_one_name_leave_the_hosts_equal(make, servers, media_root):
    jitter, pauses = random.Random(0), threading.Event()
    for server in servers:
        server.on_request = lambda method, path: pauses.wait(jitter.random() * 0.004)

    def work(content):
        storage = make(executor=UnorderedExecutor)
        for _ in range(25):
            storage.delete("a")
            with suppress(FileExistsError), storage.open("a", "wb") as file:  # if the other one has just saved it
                file.write(content)
        storage.delete("a")

    threads = [threading.Thread(target=work, args=[content]) for content in (b"short", b"rather long")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not (media_root / "a").exists()
    assert [dict(server.files) for server in servers] == [{}, {}]


EXITING_SITE = """
import sys
from django.conf import settings
settings.configure(MEDIA_ROOT=sys.argv[1], MEDIA_URL="/media/")
from django.core.files.base import ContentFile
from resto.executors import Executor
from resto.storage import AsyncStorage
storage = AsyncStorage(sys.argv[2:], executor=%r)
for number in range(20):
    storage.save(f"{number}", ContentFile(b"content"))
%s
"""


@pytest.mark.parametrize("end", ["", "sys.exit()", "raise SystemExit(0)"])
def test_nothing_is_lost_when_the_process_exits_at_once(servers, media_root, end):
    for server in servers:
        server.delay = 0.02

    subprocess.run(
        [sys.executable, "-c", EXITING_SITE % ("thread", end), str(media_root), *(server.url for server in servers)],
        check=True,
        timeout=300,
    )

    expected = {str(number): b"content" for number in range(20)}
    assert [dict(server.files) for server in servers] == [expected] * 2


def test_save_at_exit_is_not_lost(servers, media_root):
    """The interpreter takes no more threads by then."""
    code = EXITING_SITE % ("thread", "import atexit; atexit.register(storage.save, 'last', ContentFile(b'content'))")
    command = [sys.executable, "-c", code, str(media_root), *(server.url for server in servers)]

    subprocess.run(command, check=True, timeout=300)

    assert [server.has_file("last") for server in servers] == [True, True]


FORK = """
import os
child = os.fork()
storage.save("parent" if child else "child", ContentFile(b"content"))
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_forked_child_saves_on_its_own(servers, media_root):
    """Threads of the parent do not exist in it, and connections are the parent's."""
    code = EXITING_SITE % ("thread", FORK)
    # Not an error here: newer Pythons warn of any fork of a process with threads.
    command = [sys.executable, "-W", "ignore", "-c", code, str(media_root), *(server.url for server in servers)]

    subprocess.run(command, check=True, timeout=300)

    names = {*map(str, range(20)), "parent", "child"}
    assert [set(server.files) for server in servers] == [names] * 2


# Task queues.


work = queue.SimpleQueue()


class QueueStorage(AsyncStorage):
    """The recipe of the documentation, with a queue that pickles."""

    def execute_one(self, func, host, name, *args, **kwargs):
        work.put(pickle.dumps((func, (host, name, *args), kwargs)))


def work_off():
    results = []
    while not work.empty():
        func, args, kwargs = pickle.loads(work.get())
        results.append(func(*args, **kwargs))
    return results


def test_overridden_execute_one_hands_actions_to_a_queue(make, servers):
    storage = make(QueueStorage)
    storage.save("a", ContentFile(b"content"))
    with storage.open("b", "wb") as file:
        file.write(b"content")
    assert [server.requests for server in servers] == [[], []]

    assert work_off() == [False] * 4
    assert [dict(server.files) for server in servers] == [{"a": b"content", "b": b"content"}] * 2
    storage.delete("a")
    assert work_off() == [True] * 2
    assert [list(server.files) for server in servers] == [["b"]] * 2


def test_worker_sees_the_master_copy_as_it_is_by_then(make, servers):
    storage = make(QueueStorage)
    storage.save("a", ContentFile(b"content"))
    storage.delete("a")

    work_off()

    assert [dict(server.files) for server in servers] == [{}, {}]


def test_execute_one_runs_one_action_on_one_host(make, servers):
    storage = make()
    storage._master.store("a", ContentFile(b"content"), None)

    storage.execute_one(storage.upload, servers[1].url, "a")
    drain(storage, "a")

    assert [list(server.files) for server in servers] == [[], ["a"]]


def test_overridden_execute_one_may_call_the_original(make, servers):
    calls = []

    class Recording(AsyncStorage):
        def execute_one(self, func, host, name, *args, **kwargs):
            calls.append((func.__name__, host, name))
            return super().execute_one(func, host, name, *args, **kwargs)

    storage = make(Recording)
    storage.save("a", ContentFile(b""))
    drain(storage, "a")

    assert calls == [("upload", server.url, "a") for server in servers]
    assert [list(server.files) for server in servers] == [["a"]] * 2
