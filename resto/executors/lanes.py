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
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from enum import Enum, auto

from resto.clock import monotonic
from resto.courses import WITH_OTHERS, Arrival, Course, finish, one_pass
from resto.executors.base import Job
from resto.executors.watch import Watch
from resto.outcomes import Outcome


__all__ = ["Lanes", "Task", "process_lanes"]


class _State(Enum):
    NEW = auto()
    WAITING = auto()
    READY = auto()
    CLAIMED = auto()
    DONE = auto()


# In the order of `_State`: to look them up there takes several times as long.
_NEW, _WAITING, _READY, _CLAIMED, _DONE = _State

# Seconds for which a course that comes early to what can be done once for all waits for the others.
GATHERED_FOR = 0.05


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

    __slots__ = ("caller", "course", "job", "lane", "outcome", "raised", "runner", "state")

    def __init__(self, job: Job, caller: Caller) -> None:
        self.job = job
        self.lane = job.host, job.name
        self.caller = caller
        self.state = _NEW
        self.runner: int | None = None  # the thread that has claimed it; None if its caller did so at once
        self.course: Course[None] | None = None  # once it has begun
        self.outcome: Outcome | None = None
        self.raised: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has left its lane."""
        return self.state is _DONE


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
        tasks = _tasks(jobs, offer)
        try:
            for task in self.enter(tasks):
                offer(task)
        except BaseException:
            self.withdraw(tasks)
            raise

    def run(self, jobs: Sequence[Job], offer: Callable[[Task], None] | None = None) -> list[Outcome]:
        """Put jobs at the ends of their lanes, run those that nobody else runs, wait for the others.

        Args:
            jobs: The jobs of one caller.
            offer: As for `submit`; not called for the task that the caller starts with.

        Returns:
            One outcome per job, in the order of the jobs.
        """
        tasks = _tasks(jobs, offer)
        try:
            self._run_together(self.enter(tasks, claim=True))
            while (own := self._next(tasks)) is not None:
                self.attempt(own)
        except BaseException:
            self.withdraw(tasks)
            raise
        outcomes = []
        for task in tasks:
            if task.raised is not None:
                raise task.raised
            outcomes.append(task.outcome)
        return outcomes  # type: ignore[return-value]  # all are done

    def _run_together(self, ready: Sequence[Task]) -> None:
        """Run those tasks that can begin without waiting, and let others run the rest, but for one if nothing else is left.

        All their requests are on their way before any answer is read. What can be done once is done after the last answer, or
        without those that take much longer than the others.
        """
        watch: Watch[Task] = Watch()
        gathered: list[Task] = []
        limit, step, stepping = None, self._begin, ready
        with one_pass():
            while stepping or watch or gathered:
                others, over = [], []
                for task in stepping:
                    arrival = step(task)
                    if arrival is WITH_OTHERS:
                        gathered.append(task)
                        limit = monotonic() + GATHERED_FOR
                    elif arrival is not None:
                        watch.add(task, arrival)
                    elif task.outcome is not None:
                        over.append(task)
                    else:
                        others.append(task)
                if over:
                    self._leave(over)
                for task in others if watch or gathered else others[1:]:
                    task.caller.offer_to_others(task)
                step, stepping = self._go_on, watch.wait(limit) if watch else []
                if not stepping:
                    stepping, gathered, limit = gathered, [], None

    def attempt(self, task: Task) -> bool:
        """Run a task if it is ready; return whether it was.

        Raises:
            BaseException: What the job raised that is not an `Exception`; whoever waits for the task gets it too.
        """
        if not self._claim(task):
            return False
        try:
            if task.course is None:
                task.outcome = task.job.run()
            else:
                finish(task.course)
        except BaseException as error:
            task.raised = error
            raise
        finally:
            self._leave([task])
        return True

    def _claim(self, task: Task) -> bool:
        with self._lock:
            if task.state is not _READY:
                return False
            task.runner = threading.get_ident()
            task.state = _CLAIMED
            return True

    def begin(self, task: Task) -> Arrival | None:
        """Do the first step of a task that was claimed.

        Returns:
            What it waits for. None if it is done, or if it would wait: then nothing was done, and whoever finds it ready may
            run it.
        """
        return self._left_if_over(task, self._begin(task))

    def go_on(self, task: Task) -> Arrival | None:
        """Do the next step of a task that has begun.

        Returns:
            What it waits for. None if it is done, or if it would wait: then whoever finds it ready may go on with it.
        """
        return self._left_if_over(task, self._go_on(task))

    def _left_if_over(self, task: Task, arrival: Arrival | None) -> Arrival | None:
        if task.outcome is not None:
            self._leave([task])
        return arrival

    def _begin(self, task: Task) -> Arrival | None:
        if task.state is not _CLAIMED:
            return None
        task.course = _carried_out(task)
        arrival = next(task.course, None)
        if arrival is None and task.outcome is None:
            task.course.close()
            task.course = None
            self._give_back(task)
        return arrival

    def _go_on(self, task: Task) -> Arrival | None:
        arrival: Arrival | None = next(task.course, None)  # type: ignore[arg-type]  # it has begun
        if arrival is None and task.outcome is None:
            self._give_back(task)
        return arrival

    def _give_back(self, task: Task) -> None:
        with self._lock:
            task.state = _READY

    def enter(self, tasks: Sequence[Task], *, claim: bool = False) -> list[Task]:
        """Put tasks at the ends of their lanes, all at once; return those that are ready.

        Args:
            tasks: The tasks of one caller.
            claim: Whether those of them that may begin are claimed at once, for `begin`.
        """
        ready = []
        with self._lock:
            for task in tasks:
                lane = self._lanes.get(task.lane)
                if lane:
                    lane.append(task)
                    task.state = _WAITING
                    continue
                self._lanes[task.lane] = deque((task,))
                ready.append(task)
                task.state = _CLAIMED if claim and task.job.course is not None else _READY
        return ready

    def _next(self, tasks: Sequence[Task]) -> Task | None:
        """Wait until one of a caller's tasks is ready, and return it; None once all are done."""
        with self._lock:
            while unfinished := [task for task in tasks if task.state is not _DONE]:
                for task in unfinished:
                    if task.state is _READY:
                        return task
                unfinished[0].caller.wait(self._lock)
        return None

    def withdraw(self, tasks: Iterable[Task]) -> None:
        """Take tasks of an interrupted caller out of their lanes, which it must not hold up for ever.

        What another thread runs, it runs to the end.

        Args:
            tasks: In the order in which they were put there. The last one leaves first: none becomes ready.
        """
        with ExitStack() as stack:  # another interruption takes them out all the same
            for task in tasks:
                stack.callback(self._withdraw, task)

    def _withdraw(self, task: Task) -> None:
        with self._lock:
            if task.state in (_NEW, _WAITING, _READY):
                task.runner = None
                task.state = _CLAIMED
            # A task of this thread is still claimed if the interruption came between the claim and the job.
            is_own = task.state is _CLAIMED and task.runner in (None, threading.get_ident())
        if is_own:
            try:
                if task.course is not None:
                    task.course.close()
            finally:
                self._leave([task])

    def wait_for_all(self) -> None:
        """Wait for all jobs that are in lanes, and for those that come meanwhile. Not for jobs."""
        while jobs := self._last_jobs():
            self.run(jobs)

    def _last_jobs(self) -> list[Job]:
        with self._lock:
            return [Job("wait", host, name, lambda: None) for host, name in self._lanes]

    def _leave(self, tasks: Sequence[Task]) -> None:
        """Make room for the next tasks of lanes, in all of them at once."""
        successors = []
        try:
            with self._lock:
                for task in tasks:
                    lane = self._lanes.get(task.lane)
                    # An interruption may have come before it was in the lane, or when it had half left it.
                    if lane and task in lane:
                        lane.remove(task)
                    if not lane:
                        self._lanes.pop(task.lane, None)
                    elif lane[0].state is _WAITING:
                        successors.append(lane[0])  # first: an interruption does not lose it
                        lane[0].state = _READY
                        lane[0].caller.wake()
                    task.state = _DONE
                for caller in {task.caller for task in tasks}:
                    caller.wake()
        finally:
            for task in tasks:
                task.caller.tell(task)
            if successors:
                with ExitStack() as stack:  # an interruption leaves none of them alone
                    for task in successors:
                        stack.callback(task.caller.offer_to_others, task)


def _carried_out(task: Task) -> Course[None]:
    task.outcome = yield from task.job.carry_out()


def _tasks(jobs: Sequence[Job], offer: Callable[[Task], None] | None) -> list[Task]:
    caller = Caller(offer)
    return [Task(job, caller) for job in jobs]


_process_lanes = Lanes()


def process_lanes() -> Lanes:
    """Return the lanes that all executors of this process share."""
    return _process_lanes


def _forget_the_parents_lanes() -> None:
    # A forked child inherits lanes whose threads do not exist in it.
    global _process_lanes
    _process_lanes = Lanes()


os.register_at_fork(after_in_child=_forget_the_parents_lanes)
