import pytest

from resto.outcomes import Arrival, Begun
from resto.transports.messages import NoAnswerError, Request, Response, Sent, begin_steps, run_steps


FIRST, SECOND = Request("PUT", "/a"), Request("HEAD", "/a")


class FakeWire:
    """Answers with statuses, or raises errors, in turn."""

    def __init__(self, *answers, begins=()):
        self.answers = list(answers)
        self.begins = list(begins)  # whether each request can be begun without waiting
        self.sent = []

    def send(self, request):
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(answer, "", {})

    def begin(self, request):
        if not (self.begins and self.begins.pop(0)):
            return None
        return Sent(lambda: self.send(request), Arrival(0, 0.0))

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
    assert run_steps(two_steps(), wire) == (409, 201)
    assert wire.sent == [FIRST, SECOND]


def test_steps_may_handle_a_failure():
    assert run_steps(forgiving_steps(), FakeWire(NoAnswerError("refused", ambiguous=False))) == "refused"


def test_a_failure_that_steps_do_not_handle_is_raised():
    with pytest.raises(NoAnswerError, match="refused"):
        run_steps(two_steps(), FakeWire(201, NoAnswerError("refused", ambiguous=False)))


def test_steps_without_requests_return_at_once():
    def no_steps():
        return "done"
        yield

    assert run_steps(no_steps(), FakeWire()) == "done"


def test_steps_that_cannot_begin_do_nothing():
    wire = FakeWire()
    assert begin_steps(two_steps(), wire) is None
    assert wire.sent == []


def test_steps_begin_each_request_without_waiting():
    wire = FakeWire(409, 201, begins=[True, True])
    begun = begin_steps(two_steps(), wire)
    second = begun.resume()
    assert isinstance(second, Begun)
    assert wire.sent == [FIRST]
    assert second.resume() == (409, 201)


def test_a_later_request_that_cannot_begin_is_left_to_whoever_may_wait():
    wire = FakeWire(409, 201, begins=[True, False])
    second = begin_steps(two_steps(), wire).resume()
    assert second.arrival is None
    assert wire.sent == [FIRST]
    assert second.resume() == (409, 201)


def test_a_request_may_take_several_steps():
    wire = FakeWire(201)
    third = Sent(lambda: wire.send(FIRST), None)
    second = Sent(lambda: third, Arrival(0, 2.0, takes_more=True))
    wire.begin = lambda request: Sent(lambda: second, Arrival(0, 1.0, takes_more=True))
    begun = begin_steps(forgiving_steps(), wire)
    for arrival in (Arrival(0, 1.0, takes_more=True), Arrival(0, 2.0, takes_more=True), None):
        assert begun.arrival == arrival
        begun = begun.resume()
    assert begun is None  # what these steps return


def test_begun_steps_may_handle_a_failure():
    wire = FakeWire(NoAnswerError("refused", ambiguous=False), begins=[True])
    assert begin_steps(forgiving_steps(), wire).resume() == "refused"


def test_a_later_request_that_fails_to_begin_is_for_the_steps_to_judge():
    """As `wire.send` would leave it to them."""

    class BreakingWire(FakeWire):
        def begin(self, request):
            if request is SECOND:
                raise NoAnswerError("broken", ambiguous=True)
            return super().begin(request)

    def forgiving():
        yield FIRST
        try:
            yield SECOND
        except NoAnswerError:
            return "forgiven"

    begun = begin_steps(forgiving(), BreakingWire(201, begins=[True]))
    assert begun.resume() == "forgiven"
