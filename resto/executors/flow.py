"""A flow: many jobs, some of each host at a time, without a thread for each.

As many requests as the window allows are on their way to every host, over as many connections. Whenever an answer
arrives, the next job of that host begins, over the same connection, so that a slow host holds up nobody but itself,
until so many of its jobs wait that no more are taken.
"""

import math
import socket
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import cast

from resto.clock import monotonic
from resto.courses import Arrival
from resto.executors.base import Job
from resto.executors.lanes import Caller, Lanes, Task
from resto.executors.watch import Watch
from resto.outcomes import Outcome


__all__ = ["BACKLOG", "WIDEST", "WINDOW", "flow"]

# How many jobs are under way on one host at a time. Fewer leave a server idle while this process does something else, and
# more gain nothing, if it is near.
WINDOW = 16

# How many if it is far: then all wait for answers, and this process with them. As long as it does, there are some more of them.
WIDEST, WIDENED_BY = 64, 8

# Seconds for which this process has waited for an answer in vain, as no more jobs were under way.
SLOW = 0.002

# How many times as long as the quickest answer of a host another one takes that has had to wait there for others: it is busy.
BUSY = 3

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
        self._windows: defaultdict[str, int] = defaultdict(lambda: WINDOW)
        self._answered: Counter[str] = Counter()  # since the window has that width
        self._quickest: defaultdict[str, float] = defaultdict(lambda: math.inf)
        self._tasks: dict[Task, float] = {}  # when each was begun; in the order in which they were taken
        self._gone: deque[Task] = deque()  # from their lanes, and others may have their places
        self._done: deque[Task] = deque()
        self._bell, self._ringer = socket.socketpair()
        self._watch: Watch[Task] = Watch(self._bell.fileno())

    def outcomes(self) -> Iterator[Outcome]:
        self._take_jobs()
        while self._tasks:
            self._replace()
            while self._done:
                yield self._finish(self._done.popleft())
            self._take_jobs()
            if self._tasks and not self._gone:
                self._go_on()

    def _take_jobs(self) -> None:
        while self._backlog < BACKLOG:
            job = next(self._jobs, None)
            if job is None:
                return
            if self._under_way[job.host] < self._windows[job.host]:
                self._start(job)
            else:
                self._waiting.setdefault(job.host, deque()).append(job)
                self._backlog += 1

    def _start(self, job: Job) -> None:
        task = Task(job, self._caller)
        self._under_way[job.host] += 1
        self._tasks[task] = monotonic()
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
        began = monotonic()
        ready = self._watch.wait()
        now = monotonic()
        for task in ready:
            self._put(task, self._lanes.go_on(task))
            if task.outcome is not None:
                self._learn(task.job.host, now - self._tasks[task], is_idle=now - began > SLOW)
            self._replace()  # before the next answer: what has brought this one can be used again, and need not wait
            self._take_jobs()
        if self._watch.was_woken:
            self._bell.recv(BACKLOG)

    def _learn(self, host: str, took: float, *, is_idle: bool) -> None:
        """Let more jobs be under way on a host that is far away, and not busy.

        Args:
            host: Has answered.
            took: For how many seconds the job was under way.
            is_idle: Whether this process has had nothing else to do.
        """
        width, quickest = self._windows[host], min(self._quickest[host], took)
        self._quickest[host] = quickest
        self._answered[host] += 1
        if is_idle and took <= BUSY * quickest and self._answered[host] > width <= self._under_way[host]:
            self._set_width(host, min(width + WIDENED_BY, WIDEST))

    def _set_width(self, host: str, width: int) -> None:
        if self._windows[host] != width:
            self._windows[host] = width
            self._answered[host] = 0

    def _left(self, task: Task) -> None:
        """Take note that a task has left its lane; called in whichever thread has run it."""
        self._gone.append(task)
        if threading.get_ident() != self._thread:
            with suppress(OSError):  # nobody listens any more
                self._ringer.send(b"!")

    def _replace(self) -> None:
        """Give the places of tasks that have left their lanes to the next ones of their hosts; these may leave theirs at once."""
        for _ in range(len(self._gone)):
            task = self._gone.popleft()
            self._done.append(task)
            host, waiting = task.job.host, self._waiting.get(task.job.host)
            self._under_way[host] -= 1
            if task.outcome is None or not task.outcome.ok:
                self._set_width(host, WINDOW)
            for _ in range(self._windows[host] - self._under_way[host]):
                if waiting:
                    self._backlog -= 1
                    self._start(waiting.popleft())

    def _finish(self, task: Task) -> Outcome:
        del self._tasks[task]
        if task.raised is not None:
            raise task.raised
        return cast("Outcome", task.outcome)

    def close(self) -> None:
        """Leave all lanes, if this ends before its time; what a thread does already, it does to the end."""
        with self._bell, self._ringer:
            self._lanes.withdraw(self._tasks)
