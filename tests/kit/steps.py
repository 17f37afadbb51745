"""Steps of transports without a network: they are given answers, and asked what they want."""

import io
import time

from resto.hosts import parse_url
from resto.transports.acquaintance import Acquaintance
from resto.transports.base import Trial
from resto.transports.messages import Response
from resto.transports.steps import Action


ACTION = Action("upload", "media-1", "a b/c.txt", parse_url("media-1", "http:///media/"))
DATE = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}

# What answers without headers look like.
PLAIN = "; ; "


def acquainted(spares=True, tells="301", looks=(PLAIN,)):
    """What is known of a host that a trial has shown this of, a moment ago."""
    host = Acquaintance()
    if spares is not None:
        host.hear(Trial(spares, tells, looks, time.time()))
    return host


def listed(is_collection):
    """The answer to PROPFIND about something that is a collection, or not; None: it does not say."""
    kind = {True: "<resourcetype><collection/></resourcetype>", False: "<resourcetype/>", None: "<getetag/>"}
    found = f"<propstat><prop>{kind[is_collection]}</prop><status>HTTP/1.1 200 OK</status></propstat>"
    body = f'<multistatus xmlns="DAV:"><response><href>/x</href>{found}</response></multistatus>'
    return 207, {}, Again(body.encode())


def properties(size="", modified="", kind="<resourcetype/>"):
    """The answer to PROPFIND about one file."""
    said = f"{kind}<getcontentlength>{size}</getcontentlength><getlastmodified>{modified}</getlastmodified>"
    found = f"<propstat><prop>{said}</prop><status>HTTP/1.1 200 OK</status></propstat>"
    body = f'<multistatus xmlns="DAV:"><response><href>/x</href>{found}</response></multistatus>'
    return 207, {}, Again(body.encode())


class Again(io.BytesIO):
    """A body that can be read anew after each closing, as parameters of tests are shared."""

    def close(self):
        self.seek(0)


# A listing that names nothing.
BARE = Again(b'<multistatus xmlns="DAV:"/>')


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
