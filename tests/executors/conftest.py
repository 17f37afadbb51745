"""Jobs that block until a test lets them go, and programs that must end by themselves."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import pytest

from kit.servers import ADDRESS
from resto.executors import Job, thread
from resto.executors.inline import InlineExecutor
from resto.executors.lanes import process_lanes
from resto.executors.thread import ThreadExecutor


PATIENCE = 10  # seconds; how long a test waits for what must happen


class BlockedJob:
    """A job that tells when it has started and has finished, and waits in between until it is released."""

    def __init__(self, host, name):
        self.started = threading.Event()
        self.released = threading.Event()
        self.finished = threading.Event()
        self.job = Job("upload", host, name, self._call, lambda outcome: self.finished.set())

    def _call(self):
        self.started.set()
        return self.released.wait(PATIENCE)


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """A pool of its own for each test, which must be idle at the end."""
    pool = thread._Pool()
    monkeypatch.setattr(thread, "_pool", pool)
    yield pool
    pool._threads.shutdown()
    assert not pool._busy
    assert not pool._queues
    assert not process_lanes()._lanes


@pytest.fixture
def block(pool):
    jobs = []

    def create(host, name):
        jobs.append(BlockedJob(host, name))
        return jobs[-1]

    yield create
    for job in jobs:
        job.released.set()


@pytest.fixture
def call_in_thread(pool):
    """Call a function in a thread of its own; the returned function waits for its result."""
    threads = []

    def start(function, *args):
        results = []
        threads.append(threading.Thread(target=lambda: results.append(function(*args))))
        threads[-1].start()

        def result(thread=threads[-1]):
            thread.join(PATIENCE)
            return results[0]

        return result

    yield start
    for one in threads:
        one.join(PATIENCE)


@pytest.fixture
def wait_until():
    """Wait for what nobody announces."""

    def wait(condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    return wait


class Silent:
    """Somebody who listens, and never answers."""

    def __init__(self, listener):
        self._listener = listener
        self.port = listener.getsockname()[1]

    def connections(self):
        """Count those that were made."""
        self._listener.setblocking(False)
        count = 0
        with suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                count += 1
        return count


@pytest.fixture
def silent():
    with socket.create_server((ADDRESS, 0)) as listener:
        yield Silent(listener)


@pytest.fixture(params=[InlineExecutor, ThreadExecutor])
def executor(request):
    """Each executor that can wait for its jobs."""
    return request.param()


@pytest.fixture
def run_program():
    """Run a program in a process of its own, and return what it wrote, once it has ended normally."""

    def run(code, *, measured=True):
        # A child that is forked while another thread holds a lock of coverage waits for it for ever.
        env = {name: value for name, value in os.environ.items() if measured or not name.startswith("COV")}
        # Written at once and whole, whichever thread or child writes.
        start = """
            import faulthandler, os, signal, sys, threading
            from resto.executors import Job
            from resto.executors.inline import InlineExecutor
            from resto.executors.thread import ThreadExecutor

            # Nothing may hang, children neither; if something does, this tells where.
            faulthandler.register(signal.SIGALRM, chain=True)
            signal.alarm(20)
            os.register_at_fork(after_in_child=lambda: signal.alarm(20))

            def say(text):
                os.write(1, f"{text}\\n".encode())

            def job(host, name, call):
                return Job("upload", host, name, call)

            executor = ThreadExecutor()
        """
        program = textwrap.dedent(start) + textwrap.dedent(code)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run
