"""Steps of transports without a network: they are given answers, and asked what they want."""

from resto.hosts import parse_url
from resto.transports.messages import Response
from resto.transports.steps import Action


ACTION = Action("upload", "media-1", "a b/c.txt", parse_url("media-1", "http:///media/"))
DATE = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}


def run(sequence, *answers):
    """Give steps their answers: statuses, or pairs of status and headers; return the result and the requests."""
    requests, answers = [next(sequence)], list(answers)
    while True:
        answer = answers.pop(0)
        try:
            if isinstance(answer, Exception):
                requests.append(sequence.throw(answer))
            else:
                status, headers, *stream = answer if isinstance(answer, tuple) else (answer, {})
                requests.append(sequence.send(Response(status, "", headers, *stream)))
        except StopIteration as stop:
            assert not answers
            return stop.value, requests


def sent(requests):
    return [(request.method, request.target) for request in requests]
