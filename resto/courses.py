"""Courses: what an action does, step by step, for whoever does several at a time in one thread.

A course is a generator. It goes on until it would wait for a host, and yields what it waits for. Whoever has several of them
begins all before it waits for any, which over short distances is several times faster than threads: these cost more than
the requests.
"""

import select
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from resto.clock import monotonic


__all__ = [
    "WITH_OTHERS",
    "Arrival",
    "Course",
    "are_in_one_pass",
    "as_method",
    "course_of",
    "finish",
    "has_course",
    "maker_of",
    "one_pass",
    "waiting",
]

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")


@dataclass(slots=True)  # not frozen: there are several of each action, and that would double their time
class Arrival:
    """What a course waits for.

    Attributes:
        descriptor: Becomes readable when the answer, or the end of the connection, arrives.
        deadline: When to go on even so, by `resto.clock.monotonic`.
        takes_more: Whether the course can also go on when the descriptor becomes writable: there is more to send.
    """

    descriptor: int
    deadline: float
    takes_more: bool = False


# Yields an arrival wherever the action can go on only when something arrives; it may be resumed earlier, has to look for
# itself, and yields again. Yields None where its next step may take its time, such as to look up a name: whoever has others under
# way leaves that to a thread. One that yields None before anything else has done nothing yet, and may be closed and begun anew.
Course = Generator[Arrival | None, None, T]


# Yielded, in one pass only, by a course that would do something for itself which can be done once for all that come as far.
# It can go on at once.
WITH_OTHERS = Arrival(-1, 0)

_in_one_pass: ContextVar[bool] = ContextVar("resto_one_pass", default=False)


class one_pass:  # noqa: N801 - a context, of which a generator would take several times as long
    """Let courses that are resumed meanwhile, by whoever has several of one action, wait for each other: see `WITH_OTHERS`."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _in_one_pass.set(True)

    def __exit__(self, *exc_info: object) -> None:
        _in_one_pass.reset(self._token)


def are_in_one_pass() -> bool:
    """Return whether a course may yield `WITH_OTHERS`."""
    return _in_one_pass.get()


def finish(course: Course[T]) -> T:
    """Carry out a course, wait for all that it waits for, and return its result.

    Args:
        course: Has done nothing yet, or is under way.
    """
    try:
        while True:
            arrival = next(course)
            if arrival is not None and arrival is not WITH_OTHERS:
                _wait(arrival)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the generator returns is a T
    finally:
        course.close()  # after an interruption, its connection must not be used again


def _wait(arrival: Arrival) -> None:
    poller = select.poll()
    poller.register(arrival.descriptor, select.POLLIN | (select.POLLOUT if arrival.takes_more else 0))
    poller.poll(max(arrival.deadline - monotonic(), 0) * 1000)


def as_method(course: Callable[Concatenate[S, P], Course[T]]) -> Callable[Concatenate[S, P], T]:
    """Turn a course into the method that finishes it, for whoever has nothing else to do.

    `course_of` finds the course again. A subclass that overrides the method is not bypassed.
    """

    @wraps(course)
    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finish(course(self, *args, **kwargs))

    method.course = course  # type: ignore[attr-defined]  # an attribute of the function
    return method


def course_of(method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Course[T]:
    """Return the course of a method's call: its own, if it was made by `as_method`, or else the call as one step."""
    return maker_of(method)(*args, **kwargs)


def maker_of(method: Callable[P, T], /) -> Callable[P, Course[T]]:
    """Return what makes the courses of a method's calls, for whoever wants several; see `course_of`."""
    if not has_course(method):
        return partial(waiting, method)
    return partial(method.course, method.__self__)  # type: ignore[attr-defined]  # by `as_method`


def has_course(method: Callable[..., Any]) -> bool:
    """Tell whether a method was made by `as_method`; what is wrapped around one, and has taken over its attributes, was not."""
    course = getattr(method, "course", None)
    return course is not None and getattr(method, "__wrapped__", None) is course


def waiting(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Course[T]:
    """Return a course that consists of one call, which may take its time."""
    yield None
    return call(*args, **kwargs)
