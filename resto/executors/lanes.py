"""Lanes: jobs with the same host and name run one at a time, in the order in which they were given.

A task is *waiting* while another one of its lane is before it, *ready* when it is at the head of its lane, *claimed*
once a thread has taken it, and *done* afterwards. Whoever finds a task ready may claim it: a thread of the pool, or the
caller who waits for it. All changes of state happen under one lock, and no job runs under it.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto

from resto.executors.base import Job
from resto.outcomes import Outcome


__all__ = ["Lanes", "Task", "process_lanes"]


class _State(Enum):
    WAITING = auto()
    READY = auto()
    CLAIMED = auto()
    DONE = auto()


class Task:
    """A job in its lane."""

    __slots__ = ("changed", "job", "offer", "outcome", "state")

    def __init__(self, job: Job, changed: threading.Condition, offer: Callable[["Task"], None] | None) -> None:
        self.job = job
        self.changed = changed
        self.offer = offer
        self.state = _State.WAITING
        self.outcome: Outcome | None = None


class Lanes:
    """The lanes of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], deque[Task]] = {}

    def add(self, jobs: Sequence[Job], offer: Callable[[Task], None] | None = None) -> list[Task]:
        """Put jobs at the ends of their lanes, all at once.

        Args:
            jobs: The jobs of one caller.
            offer: Called, not under the lock, with each task when it becomes ready.
        """
        changed = threading.Condition(self._lock)
        tasks = [Task(job, changed, offer) for job in jobs]
        with self._lock:
            for task in tasks:
                lane = self._lanes.setdefault((task.job.host, task.job.name), deque())
                lane.append(task)
                if lane[0] is task:
                    task.state = _State.READY
            ready = [task for task in tasks if task.state is _State.READY]
        if offer is not None:
            for task in ready:
                offer(task)
        return tasks

    def run(self, task: Task) -> bool:
        """Run a task if it is ready; return whether it was."""
        with self._lock:
            if task.state is not _State.READY:
                return False
            task.state = _State.CLAIMED
        try:
            task.outcome = task.job.run()
        finally:
            self._leave(task)
        return True

    def run_all(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run those of one caller's tasks that nobody else runs, wait for the others, and return all outcomes."""
        try:
            for task in tasks:
                self._run_or_wait(task)
        except BaseException:
            # An interrupted caller must not hold up the lanes for ever.
            for task in tasks:
                self._withdraw(task)
            raise
        return [_outcome(task) for task in tasks]

    def _run_or_wait(self, task: Task) -> None:
        while not self.run(task):
            with self._lock:
                task.changed.wait_for(lambda: task.state in (_State.READY, _State.DONE))
                if task.state is _State.DONE:
                    return

    def _withdraw(self, task: Task) -> None:
        with self._lock:
            unclaimed = task.state in (_State.WAITING, _State.READY)
            if unclaimed:
                task.state = _State.CLAIMED
        if unclaimed:
            self._leave(task)

    def _leave(self, task: Task) -> None:
        key = task.job.host, task.job.name
        with self._lock:
            task.state = _State.DONE
            lane = self._lanes[key]
            lane.remove(task)
            successor = lane[0] if lane and lane[0].state is _State.WAITING else None
            if successor is not None:
                successor.state = _State.READY
                successor.changed.notify_all()
            elif not lane:
                del self._lanes[key]
            task.changed.notify_all()
        if successor is not None and successor.offer is not None:
            successor.offer(successor)


def _outcome(task: Task) -> Outcome:
    if task.outcome is not None:
        return task.outcome
    job = task.job
    return Outcome(job.action, job.host, job.name, 0.0, error=RuntimeError("the thread that ran it was interrupted"))


_process_lanes = Lanes()


def process_lanes() -> Lanes:
    """Return the lanes that all executors of this process share."""
    return _process_lanes


def _forget_the_parents_lanes() -> None:
    # A forked child inherits lanes whose threads do not exist in it.
    global _process_lanes
    _process_lanes = Lanes()


os.register_at_fork(after_in_child=_forget_the_parents_lanes)
