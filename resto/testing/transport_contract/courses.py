"""Courses: methods that go on step by step, see `resto.courses`."""

import io
import time
from datetime import timedelta
from typing import Any

from resto.courses import Arrival, Course, course_of, finish
from resto.exceptions import RemoteFileNotFoundError
from resto.testing.transport_contract.base import TransportSuite
from resto.testing.transport_contract.tools import failure, file_of_zeros, new_name, require_content
from resto.transports import Transport


class Courses(TransportSuite):
    """What is begun anew, gone on with too early, or given up."""

    def test_course_is_the_action(self, transport_and_host: tuple[Transport, str]) -> None:
        """A method that is a course ends the same for whoever begins it anew, and goes on with it too early."""
        transport, host = transport_and_host
        name = new_name("course.bin")
        assert _hurry(transport, "create", host, name, b"content") is False, "there was no such file"
        for content in (io.BytesIO(b"another content"), file_of_zeros(100_000, can_seek=False)):
            assert isinstance(_hurry(transport, "create", host, name, content), bool)
        require_content(transport.content(host, name), bytes(100_000))
        assert _hurry(transport, "exists", host, name) is True
        assert _hurry(transport, "size", host, name) == 100_000
        assert _hurry(transport, "browse", host, "") == transport.browse(host, "")
        if transport.supports_modified_time:
            modified = _hurry(transport, "modified_time", host, name)
            assert abs(transport.modified_time(host, name) - modified) < timedelta(minutes=15)
        assert _hurry(transport, "delete", host, name) is True
        assert _hurry(transport, "delete", host, name) is False
        assert _hurry(transport, "exists", host, name) is False
        with failure(RemoteFileNotFoundError, host, name, "size"):
            _hurry(transport, "size", host, name)

    def test_course_may_be_given_up(self, transport_and_host: tuple[Transport, str]) -> None:
        """After any step; its answer does not pass for that of another action."""
        transport, host = transport_and_host
        name = new_name("kept.txt")
        transport.create(host, name, b"content")
        for steps in (1, 2, 3):
            other = new_name("other.txt")
            transport.create(host, other, b"another content")
            for method, *arguments in (("size",), ("exists",), ("delete",), ("create", bytes(300_000))):
                course = course_of(getattr(transport, method), host, other, *arguments)
                for _ in range(steps):
                    next(course, None)
                course.close()
                assert transport.size(host, name) == 7, f"this is the answer to a {method} that was given up"
                assert transport.content(host, name) == b"content"


def _hurry(transport: Transport, method: str, host: str, name: str, *arguments: Any) -> Any:
    """Carry out an action as those do who have others under way, and too early."""
    call = getattr(transport, method)
    course = course_of(call, host, name, *arguments)
    try:
        if _step(course, transport) is None:
            course.close()  # it has done nothing
            course = course_of(call, host, name, *arguments)
        for _ in range(3):
            _step(course, transport)
    except StopIteration as stop:
        return stop.value
    return finish(course)


def _step(course: Course[Any], transport: Transport) -> Arrival | None:
    arrival = next(course)
    if arrival is not None:
        assert isinstance(arrival, Arrival), "a course must yield an Arrival, or None"
        latest = time.monotonic() + 3 * transport.timeout + 1
        assert arrival.deadline <= latest, "a course waits longer than the timeout: is its deadline by time.monotonic?"
    return arrival
