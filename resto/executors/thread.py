"""The executor that runs jobs in a pool of threads."""

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

from resto.executors.base import Executor, Job
from resto.executors.flow import flow
from resto.executors.lanes import Lanes, Task, process_lanes
from resto.names import shown
from resto.outcomes import Outcome


__all__ = ["THREAD_NAME", "ThreadExecutor", "call_in_thread"]

T = TypeVar("T")

logger = logging.getLogger("resto")

THREAD_NAME = "resto"  # how the names of the threads begin

MAX_THREADS = 64

# One host that does not answer may occupy this many threads, and no more: the others are for the other hosts.
MAX_THREADS_PER_HOST = 8


class ThreadExecutor(Executor):
    """Runs jobs in threads that are shared by the whole process.

    At most 64 jobs run at a time, at most 8 of them on one host. A caller who waits in `run` works too, so that it is
    never held up by the jobs of others. Jobs that were submitted are finished before the process exits normally.
    """

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        lanes = process_lanes()
        return lanes.run(jobs, lambda task: _pool.offer(lanes, task))

    def run_each(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Do so, with up to 16 jobs under way on one host at a time, and 64 on one that is far away; see `Executor.run_each`."""
        lanes = process_lanes()
        return flow(lanes, jobs, lambda task: _pool.offer(lanes, task))

    def submit(self, jobs: Sequence[Job]) -> None:
        lanes = process_lanes()
        lanes.submit(jobs, lambda task: _pool.offer(lanes, task))


def call_in_thread(call: Callable[[], T]) -> T:
    """Return the result of a call in a thread of its own, which is waited for: one that no job of others holds up.

    Args:
        call: Blocks, and must not wait for the thread that calls this.
    """
    with ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME) as pool:
        return pool.submit(copy_context().run, call).result()


class _Pool:
    """Threads shared by the process, each host with its share of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=THREAD_NAME)
        self._queues: dict[str, deque[tuple[Lanes, Task]]] = {}
        self._busy: Counter[str] = Counter()

    def offer(self, lanes: Lanes, task: Task) -> None:
        """Let the pool run a task, unless its caller does so first."""
        host = task.job.host
        with self._lock:
            self._queues.setdefault(host, deque()).append((lanes, task))
            if self._busy[host] >= MAX_THREADS_PER_HOST:
                return
            self._busy[host] += 1
        turn = threading.Lock()
        try:
            self._threads.submit(self._serve, host, turn)
        except RuntimeError:
            # The interpreter is on its way out, or the system is out of threads: this thread does it. In the second
            # case the pool has kept the request, and an older thread of it may have been faster.
            self._serve(host, turn)
        except BaseException:
            # An interruption: unless the request has got through, nobody serves it.
            if turn.acquire(blocking=False):
                with self._lock:
                    with suppress(ValueError):  # another thread of this host has been faster
                        self._queues[host].remove((lanes, task))
                    self._release(host)
            raise

    def _serve(self, host: str, turn: threading.Lock) -> None:
        if not turn.acquire(blocking=False):
            return
        while entry := self._next(host):
            lanes, task = entry
            try:
                lanes.attempt(task)
            except BaseException:  # such as SystemExit: nothing that a job does may leave the rest of the queue alone
                job = task.job
                logger.exception("The %s of %s on %s tried to end its thread.", job.action, shown(job.name), job.host)

    def _next(self, host: str) -> tuple[Lanes, Task] | None:
        with self._lock:
            if self._queues[host]:
                return self._queues[host].popleft()
            self._release(host)
            return None

    def _release(self, host: str) -> None:
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]
            if not self._queues[host]:
                del self._queues[host]


_pool = _Pool()


def _forget_the_parents_pool() -> None:
    # Threads do not survive a fork: the child needs a pool of its own.
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget_the_parents_pool)
