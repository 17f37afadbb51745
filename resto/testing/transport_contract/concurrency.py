"""Concurrency: threads, forked children, and readers beside a writer."""

import itertools
import os
import signal
import threading
import warnings
from collections.abc import Callable

from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import new_name, require_content
from resto.transports import Transport


class Concurrency(TransportSuite):
    """What others do at the same time."""

    def test_threads_may_share_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """Several threads act on different files at once, and each gets what belongs to it."""
        transport, host = transport_and_host
        together = threading.Barrier(4, timeout=self.patience)

        def live(number: int) -> None:
            name, content = new_name(f"{number}.bin"), bytes([number]) * (50_000 + number)
            together.wait()
            for _ in range(2):
                transport.create(host, name, content)
                assert transport.size(host, name) == len(content)
                require_content(transport.content(host, name), content)
                assert transport.delete(host, name) is True

        _in_threads([lambda number=number: live(number) for number in range(4)])  # type: ignore[misc]  # a default

    def test_forked_child_may_use_it(self, transport_and_host: tuple[Transport, str]) -> None:
        """At the same time as its parent: servers make their workers in this way."""
        transport, host = transport_and_host
        names = new_name("parent.bin"), new_name("child.bin")
        for name in names:
            transport.create(host, name, name.encode() * 1000)

        def is_read(name: str) -> bool:
            return all(transport.content(host, name) == name.encode() * 1000 for _ in range(3))

        child = _fork(lambda: is_read(names[1]), self.patience)
        assert is_read(names[0])
        assert os.waitpid(child, 0)[1] == 0, "a forked child could not read a file, or read another one"

    def test_readers_see_whole_files(self, transport_and_host: tuple[Transport, str]) -> None:
        """Where `replaces_at_once` says so: while a file is replaced, there is the old one or the new one."""
        if not self.replaces_at_once:
            return
        transport, host = transport_and_host
        name = new_name("replaced.bin")
        # Of one size: Apache asks for it before it opens the file, and what it opens may be the other one.
        versions = [b"a" * 300_000, b"b" * 300_000]
        transport.create(host, name, versions[0])
        done = threading.Event()

        def write() -> None:
            for content in itertools.cycle(reversed(versions)):
                if done.is_set():
                    return
                transport.create(host, name, content)

        def read() -> None:
            try:
                for _ in range(30):
                    content = transport.content(host, name)
                    assert content in versions, "a reader saw neither the old file nor the new one"
            finally:
                done.set()

        _in_threads([write, read])


def _in_threads(functions: list[Callable[[], None]]) -> None:
    """Run functions at the same time; raise what the first of them to fail has raised."""
    problems: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            problems.append(error)

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _fork(is_right: Callable[[], bool], patience: float) -> int:
    """Start a child that tells by its status whether something is right; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of threads that the child does not have
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, patience)
        status = 0 if is_right() else 2
    finally:
        os._exit(status)
