"""A flow: many jobs, some of each host at a time, without a thread for each.

As many requests as the window allows are on their way to every host, over as many connections. Whenever an answer
arrives, the next job of that host begins, so that a slow host holds up nobody but itself, until so many of its jobs
wait that no more are taken.
"""

import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import cast

from resto.courses import Arrival
from resto.executors.base import Job
from resto.executors.lanes import Caller, Lanes, Task
from resto.executors.watch import Watch
from resto.outcomes import Outcome


__all__ = ["BACKLOG", "WINDOW", "flow"]

# How many jobs are under way on one host at a time. Fewer leave a server idle while this process does something else;
# more gain nothing.
WINDOW = 16

# How many jobs wait for their turn, of all hosts together; no more are taken from whoever has them.
BACKLOG = 64


def flow(lanes: Lanes, jobs: Iterable[Job], offer: Callable[[Task], None]) -> Iterator[Outcome]:
    """Run jobs, each of them once, and yield each outcome when it is there.

    Args:
        lanes: Where they wait for their turn.
        jobs: Taken one by one, when there is room. Several of one lane run in their order.
        offer: As for `Lanes.submit`: runs what cannot begin without waiting.
    """
    running = _Flow(lanes, iter(jobs), offer)
    try:
        yield from running.outcomes()
    finally:
        running.close()


class _Flow:
    def __init__(self, lanes: Lanes, jobs: Iterator[Job], offer: Callable[[Task], None]) -> None:
        self._lanes = lanes
        self._jobs = jobs
        self._caller = Caller(offer, self._left)
        self._thread = threading.get_ident()
        self._waiting: dict[str, deque[Job]] = {}
        self._backlog = 0
        self._under_way: Counter[str] = Counter()
        self._tasks: dict[Task, None] = {}  # in the order in which they were taken
        self._done: deque[Task] = deque()
        self._bell, self._ringer = socket.socketpair()
        self._watch: Watch[Task] = Watch(self._bell.fileno())

    def outcomes(self) -> Iterator[Outcome]:
        self._take_jobs()
        while self._tasks:
            while self._done:
                yield self._finish(self._done.popleft())
            self._take_jobs()
            if self._tasks and not self._done:
                self._go_on()

    def _take_jobs(self) -> None:
        while self._backlog < BACKLOG:
            job = next(self._jobs, None)
            if job is None:
                return
            if self._under_way[job.host] < WINDOW:
                self._start(job)
            else:
                self._waiting.setdefault(job.host, deque()).append(job)
                self._backlog += 1

    def _start(self, job: Job) -> None:
        task = Task(job, self._caller)
        self._under_way[job.host] += 1
        self._tasks[task] = None
        if not self._lanes.enter([task], claim=True):
            return  # it is offered when its turn comes
        self._put(task, self._lanes.begin(task))

    def _put(self, task: Task, arrival: Arrival | None) -> None:
        if arrival is not None:
            self._watch.add(task, arrival)
        elif not task.is_done:
            self._caller.offer_to_others(task)

    def _go_on(self) -> None:
        """Wait until something happens, and do what can be done about it."""
        for task in self._watch.wait():
            self._put(task, self._lanes.go_on(task))
        if self._watch.was_woken:
            self._bell.recv(BACKLOG)

    def _left(self, task: Task) -> None:
        """Take note that a task has left its lane; called in whichever thread has run it."""
        self._done.append(task)
        if threading.get_ident() != self._thread:
            with suppress(OSError):  # nobody listens any more
                self._ringer.send(b"!")

    def _finish(self, task: Task) -> Outcome:
        """Give the place of a task to the next one of its host."""
        host = task.job.host
        del self._tasks[task]
        self._under_way[host] -= 1
        waiting = self._waiting.get(host)
        if waiting:
            self._backlog -= 1
            self._start(waiting.popleft())
        if task.raised is not None:
            raise task.raised
        return cast("Outcome", task.outcome)

    def close(self) -> None:
        """Leave all lanes, if this ends before its time; what a thread does already, it does to the end."""
        with self._bell, self._ringer:
            self._lanes.withdraw(self._tasks)
