"""Lanes: jobs with the same host and name run one at a time, in the order in which they were given.

A task is *new* before it is in its lane, *waiting* while another one of its lane is before it, *ready* when it is at
the head of its lane, *claimed* once a thread has taken it, and *done* afterwards. Whoever finds a task ready may claim
it: a thread of the pool, or the caller who waits for it. All changes of state happen under one lock, and no job runs
under it.

A caller who waits first begins those of its tasks that can be begun without waiting, so that all their requests are on
their way at the same time; the others are for the pool, or for the caller afterwards, and so is what is begun and cannot
go on without waiting. Over short distances this is several times faster than threads, which cost more than the requests.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from typing import cast

from resto.executors.base import Job
from resto.executors.watch import Watch
from resto.outcomes import Begun, Outcome


__all__ = ["Lanes", "Task", "process_lanes"]


class _State(Enum):
    NEW = auto()
    WAITING = auto()
    READY = auto()
    CLAIMED = auto()
    DONE = auto()


class Caller:
    """Somebody who has put tasks into their lanes.

    Args:
        offer: As for `Lanes.submit`; None if nobody else runs the tasks.
        left: Told each task that has left its lane, in whichever thread that is.
    """

    __slots__ = ("_changed", "_left", "_offer")

    def __init__(self, offer: Callable[["Task"], None] | None, left: Callable[["Task"], None] | None = None) -> None:
        self._offer = offer
        self._left = left
        self._changed: threading.Condition | None = None  # made by who has to wait: most need not

    def offer_to_others(self, task: "Task") -> None:
        """Let somebody else run a task, who finds it ready."""
        if self._offer is not None:
            self._offer(task)

    def wait(self, lock: threading.Lock) -> None:
        """Wait for `wake`, without holding the lock meanwhile."""
        if self._changed is None:
            self._changed = threading.Condition(lock)
        self._changed.wait()

    def wake(self) -> None:
        """Let the caller look again; for whoever holds the lock."""
        if self._changed is not None:
            self._changed.notify_all()

    def tell(self, task: "Task") -> None:
        """Tell that a task has left its lane."""
        if self._left is not None:
            self._left(task)


class Task:
    """A job in its lane."""

    __slots__ = ("begun", "caller", "job", "outcome", "raised", "runner", "state")

    def __init__(self, job: Job, caller: Caller) -> None:
        self.job = job
        self.caller = caller
        self.state = _State.NEW
        self.runner: int | None = None
        self.begun: Begun[Outcome] | None = None  # of a task that is ready: what is left to do
        self.outcome: Outcome | None = None
        self.raised: BaseException | None = None


class Lanes:
    """The lanes of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], deque[Task]] = {}

    def submit(self, jobs: Sequence[Job], offer: Callable[[Task], None]) -> None:
        """Put jobs at the ends of their lanes, all at once.

        Args:
            jobs: The jobs of one caller.
            offer: Called, not under the lock, with each task when it becomes ready; `attempt` then runs it.
        """
        with self._entered(jobs, offer) as (_, ready):
            for task in ready:
                offer(task)

    def run(self, jobs: Sequence[Job], offer: Callable[[Task], None] | None = None) -> list[Outcome]:
        """Put jobs at the ends of their lanes, run those that nobody else runs, wait for the others.

        Args:
            jobs: The jobs of one caller.
            offer: As for `submit`; not called for the task that the caller starts with.

        Returns:
            One outcome per job, in the order of the jobs.
        """
        with self._entered(jobs, offer, claim=True) as (tasks, ready):
            under_way = _UnderWay(self)
            others = [task for task in ready if not under_way.begin(task)]
            for task in others if under_way else others[1:]:
                task.caller.offer_to_others(task)
            while under_way:
                under_way.go_on()
            while (own := self._next(tasks)) is not None:
                self.attempt(own)
            for task in tasks:
                if task.raised is not None:
                    raise task.raised
        return [cast("Outcome", task.outcome) for task in tasks]

    def attempt(self, task: Task) -> bool:
        """Run a task if it is ready; return whether it was.

        Raises:
            BaseException: What the job raised that is not an `Exception`; whoever waits for the task gets it too.
        """
        if not self._claim(task):
            return False
        try:
            task.outcome = task.job.run() if task.begun is None else _finished(task.begun)
        except BaseException as error:
            task.raised = error
            raise
        finally:
            self.leave(task)
        return True

    def _claim(self, task: Task) -> bool:
        with self._lock:
            if task.state is not _State.READY:
                return False
            task.runner = threading.get_ident()
            task.state = _State.CLAIMED
            return True

    def begin(self, task: Task) -> Begun[Outcome] | None:
        """Begin a task that was claimed, if that is possible without waiting; `leave` it, or `suspend` it, afterwards."""
        if task.state is not _State.CLAIMED:
            return None
        begun = task.job.start()
        if begun is None:
            self._give_back(task)
        return begun

    def suspend(self, task: Task, begun: Begun[Outcome]) -> None:
        """Let anybody go on with a task who finds it ready."""
        task.begun = begun
        self._give_back(task)
        task.caller.offer_to_others(task)

    def _give_back(self, task: Task) -> None:
        with self._lock:
            task.state = _State.READY

    @contextmanager
    def _entered(
        self, jobs: Sequence[Job], offer: Callable[[Task], None] | None, *, claim: bool = False
    ) -> Iterator[tuple[list[Task], list[Task]]]:
        """Put jobs into their lanes; yield all tasks, and those of them that are ready at once."""
        caller = Caller(offer)
        tasks = [Task(job, caller) for job in jobs]
        try:
            yield tasks, self.enter(tasks, claim=claim)
        except BaseException:
            # An interrupted caller must not hold up the lanes for ever. Its last task leaves first: none becomes ready.
            for task in reversed(tasks):
                self.withdraw(task)
            raise

    def enter(self, tasks: Sequence[Task], *, claim: bool = False) -> list[Task]:
        """Put tasks at the ends of their lanes, all at once; return those that are ready.

        Args:
            tasks: The tasks of one caller.
            claim: Whether those of them that may begin are claimed at once, for `begin`.
        """
        runner = threading.get_ident()
        ready = []
        with self._lock:
            for task in tasks:
                lane = self._lanes.setdefault((task.job.host, task.job.name), deque())
                lane.append(task)
                if lane[0] is not task:
                    task.state = _State.WAITING
                    continue
                ready.append(task)
                if claim and task.job.begin is not None:
                    task.runner, task.state = runner, _State.CLAIMED
                else:
                    task.state = _State.READY
        return ready

    def _next(self, tasks: Sequence[Task]) -> Task | None:
        """Wait until one of a caller's tasks is ready, and return it; None once all are done."""
        with self._lock:
            while unfinished := [task for task in tasks if task.state is not _State.DONE]:
                for task in unfinished:
                    if task.state is _State.READY:
                        return task
                unfinished[0].caller.wait(self._lock)
        return None

    def withdraw(self, task: Task) -> None:
        """Take a task out of its lane, unless another thread runs it."""
        with self._lock:
            if task.state in (_State.NEW, _State.WAITING, _State.READY):
                task.runner = threading.get_ident()
                task.state = _State.CLAIMED
            # A task of this thread is still claimed if the interruption came between the claim and the job.
            left = task.state is _State.CLAIMED and task.runner == threading.get_ident()
        if left:
            self.leave(task)

    def leave(self, task: Task) -> None:
        """Make room for the next task of the lane."""
        key = task.job.host, task.job.name
        successor = None
        try:
            with self._lock:
                # An interruption may have come before it was in the lane, or when it had half left it.
                lane = self._lanes.get(key, deque())
                if task in lane:
                    lane.remove(task)
                if not lane:
                    self._lanes.pop(key, None)
                elif lane[0].state is _State.WAITING:
                    successor = lane[0]
                    successor.state = _State.READY
                    successor.caller.wake()
                task.state = _State.DONE
                task.caller.wake()
        finally:
            task.caller.tell(task)
            if successor is not None:
                successor.caller.offer_to_others(successor)


class _UnderWay:
    """The tasks of one caller that are begun; a slow host must not hold up the lanes of others."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._begun: dict[Task, Begun[Outcome]] = {}
        self._watch: Watch[Task] = Watch()
        self._unwatched: list[Task] = []

    def __bool__(self) -> bool:
        return bool(self._begun)

    def begin(self, task: Task) -> bool:
        begun = self._lanes.begin(task)
        if begun is None:
            return False
        self._put(task, begun)
        return True

    def _put(self, task: Task, begun: Begun[Outcome]) -> None:
        self._begun[task] = begun
        if not self._watch.add(task, begun.arrival):
            self._unwatched.append(task)

    def go_on(self) -> None:
        """Wait until some of them can go on, and do their next steps."""
        ready, self._unwatched = self._unwatched or self._watch.wait(), []
        for task in ready:
            result = self._begun.pop(task).resume()
            if not isinstance(result, Begun):
                task.outcome = result
                self._lanes.leave(task)
            elif self._begun and not result.is_sent:
                self._lanes.suspend(task, result)
            else:
                self._put(task, result)


def _finished(begun: Begun[Outcome]) -> Outcome:
    result: Outcome | Begun[Outcome] = begun
    while isinstance(result, Begun):
        result = result.resume()
    return result


_process_lanes = Lanes()


def process_lanes() -> Lanes:
    """Return the lanes that all executors of this process share."""
    return _process_lanes


def _forget_the_parents_lanes() -> None:
    # A forked child inherits lanes whose threads do not exist in it.
    global _process_lanes
    _process_lanes = Lanes()


os.register_at_fork(after_in_child=_forget_the_parents_lanes)
