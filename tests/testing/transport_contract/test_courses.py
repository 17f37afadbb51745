"""Courses, and transports whose courses end in another way than their methods."""

import time

import pytest

from kit.contracts import Mutants, promises
from kit.folder_transport import Folder, soon
from resto.courses import Arrival, as_method
from resto.exceptions import HostUnavailableError
from resto.testing import TransportContract
from resto.testing.transport_contract.courses import Courses


BROKEN = Mutants()
breaks = BROKEN.breaks


@pytest.mark.parametrize("mutant", BROKEN, ids=str)
def test_broken_promise_is_found(finds, mutant):
    assert finds(mutant)


def test_every_promise_has_been_broken():
    assert {*promises(Courses)} <= {mutant.promise for mutant in BROKEN} <= {*promises(TransportContract)}


@breaks("test_course_is_the_action")
class YieldsSomethingElse(Folder):
    @as_method
    def exists(self, host, name):
        yield "soon"
        return super().exists(host, name)


@breaks("test_course_is_the_action")
class HasAnotherClock(Folder):
    @as_method
    def exists(self, host, name):
        yield Arrival(0, time.time())
        return super().exists(host, name)


@breaks("test_course_is_the_action")
class ForgetsTheResult(Folder):
    @as_method
    def size(self, host, name):
        yield soon()
        super().size(host, name)


@breaks("test_course_is_the_action")
class FailsInAnotherWay(Folder):
    @as_method
    def size(self, host, name):
        yield soon()
        return super().size(host, name) if self.exists(host, name) else None


@breaks("test_course_is_the_action")
class DeletesBeforeItWaits(Folder):
    """And again when it is begun anew."""

    @as_method
    def delete(self, host, name):
        existed = super().delete(host, name)
        yield None
        return existed


@breaks("test_course_is_the_action")
class ReadsBeforeItWaits(Folder):
    @as_method
    def create(self, host, name, content):
        content = content if isinstance(content, bytes) else content.read()
        yield None
        return super().create(host, name, content)


class IsAnsweredLater(Folder):
    """Waits for an answer, which takes a while to arrive."""

    @as_method
    def exists(self, host, name):
        arrives = time.monotonic() + 0.05
        yield Arrival(0, arrives)
        return self.answer(arrives) and super().exists(host, name)

    def answer(self, arrives):
        raise NotImplementedError


@breaks("test_course_is_the_action")
class TakesSilenceForNo(IsAnsweredLater):
    def answer(self, arrives):
        return time.monotonic() >= arrives


@breaks("test_course_is_the_action")
class FailsIfThereIsNoAnswerYet(IsAnsweredLater):
    def answer(self, arrives):
        if time.monotonic() < arrives:
            raise BlockingIOError
        return True


@breaks("test_course_may_be_given_up")
class DoesNotGiveUp(Folder):
    @as_method
    def size(self, host, name):
        try:
            yield soon()
        except GeneratorExit:
            yield soon()
        return super().size(host, name)


@breaks("test_course_may_be_given_up")
class KeepsAnswersThatNobodyRead(Folder):
    def __init__(self, base_url, *, timeout=2):
        super().__init__(base_url, timeout=timeout)
        self.answers = []

    @as_method
    def size(self, host, name):
        self.answers.append(super().size(host, name))
        yield soon()
        return self.answers.pop(0)


@breaks("test_course_may_be_given_up")
class StaysBusy(Folder):
    is_busy = False

    @as_method
    def delete(self, host, name):
        self.is_busy = True
        yield soon()
        self.is_busy = False
        return super().delete(host, name)

    @as_method
    def size(self, host, name):
        yield soon()
        if self.is_busy:
            raise HostUnavailableError(host, name, "size", "its only connection is in use")
        return super().size(host, name)
