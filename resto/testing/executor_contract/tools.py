"""What the tests of several themes need: jobs, actions that take their time, and callers that lose patience."""

import inspect
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from resto.courses import WITH_OTHERS, Arrival, Course, are_in_one_pass
from resto.executors import Executor, Job
from resto.outcomes import Outcome


HOSTS = st.sampled_from(["media-1", "media-2", "media-3"])
NAMES = st.sampled_from(["a.txt", "b/c.txt"])

# What an action waits for, step by step: an answer that is there; a host that takes more; a deadline, which may be over; or
# it may take its time; or what can be done once for all hosts. None if the action is one call.
STEPS = ["answer", "others", "room", "silence", "overdue", "time"]
STEP_LISTS = st.none() | st.lists(st.sampled_from(STEPS), max_size=3)

# What a job does before its call where all hosts are gone over in one pass; the call may take its time.
IN_ONE_PASS = ["answer", "others", "time"]

# Seconds: of a deadline before which something happens, and of one before which nothing does.
_LONG, _SOON = 60, 0.002


class Caller:
    """Calls a function in a thread of its own."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._call, args=[function, *arguments], daemon=True)
        self._thread.start()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised to who waits
            self._error = error

    def result(self, patience: float) -> Any:
        """Wait for the function; return what it returns, or raise what it raises."""
        self._thread.join(patience)
        assert not self._thread.is_alive(), f"the executor did not return within {patience:g} seconds"
        if self._error is not None:
            raise self._error
        return self._value


class Action:
    """What a job does, by one call or step by step.

    Args:
        act: The last step.
        steps: Those before it; None if there is only the call.
        begin: Called when the action begins.

    Attributes:
        under_way: How many of its courses are.
    """

    def __init__(self, act: Callable[[], Any], steps: Sequence[str] | None, begin: Callable[[], Any] = int) -> None:
        self._act = act
        self._steps = steps
        self._begin = begin
        self.under_way = 0

    def __call__(self) -> Any:
        self._begin()
        return self._act()

    def job_course(self) -> Callable[[], Course[Any]] | None:
        return None if self._steps is None else self._course

    def _course(self) -> Course[Any]:
        steps = deque(self._steps or ())
        near, far = socket.socketpair()
        self.under_way += 1
        try:
            if steps and steps[0] == "time":
                yield None  # nothing was done yet
                steps.popleft()
            self._begin()
            for step in steps:
                yield from _waiting_for(step, near, far)
            return self._act()
        finally:
            self.under_way -= 1
            near.close()
            far.close()


def make_job(host: str, name: str, call: Callable[[], Any], finished: Callable[[Outcome], Any] | None = None) -> Job:
    """Return a job that has a course if its action has one."""
    return Job("upload", host, name, call, finished, call.job_course() if isinstance(call, Action) else None)


def raising(error: BaseException) -> Callable[[], Any]:
    """Return an action that fails."""

    def call() -> None:
        raise error

    return call


def check_class(executor: Executor) -> None:
    """Make sure that an executor is of a class as storages expect it."""
    assert isinstance(executor, Executor), "an executor must be a subclass of resto.executors.Executor"
    for flag in ("supports_run", "needs_alias", "has_literal_credentials"):
        assert isinstance(getattr(executor, flag), bool), f"{flag} must be True or False"
    for parameter in inspect.signature(type(executor)).parameters.values():
        by_name = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_KEYWORD)
        assert by_name, f"{parameter.name!r} must be a keyword argument"


def _waiting_for(step: str, near: socket.socket, far: socket.socket) -> Course[None]:
    if step == "time":
        yield None
    elif step == "others":
        if are_in_one_pass():
            yield WITH_OTHERS
    elif step == "room":
        yield Arrival(near.fileno(), time.monotonic() + _LONG, takes_more=True)
    elif step == "answer":
        far.send(b"!")
        yield Arrival(near.fileno(), time.monotonic() + _LONG)
        near.recv(1)
    else:
        deadline = time.monotonic() + (_SOON if step == "silence" else -_SOON)
        yield Arrival(near.fileno(), deadline)
        while time.monotonic() < deadline:  # whoever has resumed it early has to do so again
            yield Arrival(near.fileno(), deadline)
