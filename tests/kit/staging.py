"""Interleavings that a test chooses: actors that move in turn, and hosts whose requests and answers travel as they may."""

import threading

from resto.courses import Arrival, as_method
from resto.executors import Executor
from resto.transports import Transport


class Stage:
    """Lets several actors act in turn: one moves, until it pauses, while all others stand still."""

    PATIENCE = 120  # seconds, after which the test itself must be broken

    def __init__(self):
        self._moved = threading.Semaphore(0)
        self._turn = threading.local()

    def pause(self):
        """Stand still until it is this actor's turn again; whoever is no actor goes on."""
        if (turn := getattr(self._turn, "semaphore", None)) is not None:
            self._moved.release()
            assert turn.acquire(timeout=self.PATIENCE)

    def is_acting(self):
        """Whether this thread is that of an actor."""
        return getattr(self._turn, "semaphore", None) is not None

    def play(self, actors, schedule):
        """Run actors to their ends; ``schedule`` says who moves next, as numbers."""
        numbers, errors, acting = iter(schedule), [], []

        def act(actor, turn):
            self._turn.semaphore = turn
            try:
                assert turn.acquire(timeout=self.PATIENCE)
                actor()
            except Exception as error:  # noqa: BLE001 - raised below, in the thread of the test
                errors.append(error)
            finally:
                acting.remove(turn)
                self._moved.release()

        acting.extend(threading.Semaphore(0) for _ in actors)
        threads = [threading.Thread(target=act, args=pair) for pair in zip(actors, list(acting), strict=True)]
        for thread in threads:
            thread.start()
        while acting:
            acting[next(numbers, 0) % len(acting)].release()
            assert self._moved.acquire(timeout=self.PATIENCE)
        for thread in threads:
            thread.join()
        for error in errors:
            raise error


class StagedTransport(Transport):
    """Hosts that are dictionaries. A request travels, is carried out, and its answer travels, each when it may."""

    def __init__(self, base_url, *, timeout, stage, hosts):
        super().__init__(base_url, timeout=timeout)
        self.stage = stage
        self.files = hosts

    @as_method
    def create(self, host, name, content):
        return self._carried_out(self._request("create", host, name, content))

    @as_method
    def delete(self, host, name):
        return self._carried_out(self._request("delete", host, name))

    def _request(self, method, host, name, content=None):
        files, sent = self.files[host], content if content is None or isinstance(content, bytes) else content.read()

        def carry_out():
            existed = files.pop(name, None) is not None
            if method == "create":
                files[name] = sent
            return existed

        return carry_out

    def _carried_out(self, request):
        yield Arrival(0, deadline=0)  # it need not be waited for: whoever goes on pauses
        self.stage.pause()
        existed = request()
        self.stage.pause()
        return existed

    def open(self, host, name):
        raise NotImplementedError

    exists = size = open  # noqa: A003 - not the builtin


class UnorderedExecutor(Executor):
    """Keeps no lanes, as if each storage were in a process of its own."""

    def run(self, jobs):
        return [job.run() for job in jobs]

    def submit(self, jobs):
        self.run(jobs)
