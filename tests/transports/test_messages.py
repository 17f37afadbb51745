import pytest

from resto.courses import Arrival, finish
from resto.transports.messages import NoAnswerError, Request, Response, run_steps


FIRST, SECOND = Request("PUT", "/a"), Request("HEAD", "/a")
ARRIVALS = [Arrival(0, 0.0, takes_more=True), None, Arrival(0, 0.0)]


class FakeWire:
    """Answers with statuses, or raises errors, in turn.

    Args:
        answers: What to answer.
        arrivals: What each exchange waits for.
    """

    def __init__(self, *answers, arrivals=()):
        self.answers = list(answers)
        self.arrivals = arrivals
        self.sent = []
        self.interrupted = []

    def exchange(self, request):
        self.sent.append(request)
        try:
            yield from self.arrivals
        except GeneratorExit:
            self.interrupted.append(request)
            raise
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(answer, "", {})

    def close(self):
        pass


def two_steps():
    first = yield FIRST
    second = yield SECOND
    return first.status, second.status


def forgiving_steps():
    try:
        yield FIRST
    except NoAnswerError as error:
        return error.problem


def test_steps_get_the_answers_in_turn():
    wire = FakeWire(409, 201)
    assert finish(run_steps(two_steps(), wire)) == (409, 201)
    assert wire.sent == [FIRST, SECOND]


def test_steps_may_handle_a_failure():
    wire = FakeWire(NoAnswerError("refused", ambiguous=False))
    assert finish(run_steps(forgiving_steps(), wire)) == "refused"


def test_a_failure_that_steps_do_not_handle_is_raised():
    wire = FakeWire(201, NoAnswerError("refused", ambiguous=False))
    with pytest.raises(NoAnswerError, match="refused"):
        finish(run_steps(two_steps(), wire))


def test_steps_may_go_on_after_a_failure():
    def persistent_steps():
        try:
            yield FIRST
        except NoAnswerError:
            return (yield SECOND).status

    wire = FakeWire(NoAnswerError("refused", ambiguous=False), 200)
    assert finish(run_steps(persistent_steps(), wire)) == 200
    assert wire.sent == [FIRST, SECOND]


def test_steps_without_requests_return_at_once():
    def no_steps():
        return "done"
        yield

    with pytest.raises(StopIteration) as info:
        next(run_steps(no_steps(), FakeWire()))
    assert info.value.value == "done"


def test_steps_wait_for_what_the_wire_waits_for():
    wire = FakeWire(409, 201, arrivals=ARRIVALS)
    course = run_steps(two_steps(), wire)
    for requests in ([FIRST], [FIRST, SECOND]):
        for arrival in ARRIVALS:
            assert next(course) is arrival
            assert wire.sent == requests
    with pytest.raises(StopIteration) as info:
        next(course)
    assert info.value.value == (409, 201)


@pytest.mark.parametrize("count", range(1, 2 * len(ARRIVALS) + 1))
def test_interrupted_steps_send_nothing_more(count):
    """Whatever they would do about a failure."""
    ended = []

    def careful_steps():
        try:
            yield from two_steps()
        except Exception:  # noqa: BLE001 - as broad as steps can be
            yield SECOND
        finally:
            ended.append(True)

    wire = FakeWire(409, 201, arrivals=ARRIVALS)
    course = run_steps(careful_steps(), wire)
    for _ in range(count):
        next(course)
    sent = [*wire.sent]
    course.close()
    assert wire.sent == sent
    assert wire.interrupted == sent[-1:]
    assert ended
