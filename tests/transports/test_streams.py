"""The bodies of answers: whatever goes wrong within one is one error."""

import socket

import pytest

from resto.transports.answers import Received
from resto.transports.messages import NoAnswerError
from resto.transports.streams import AnswerStream


class Closable:
    closed = 0

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("error", [ValueError, AttributeError, IndexError, OverflowError])
def test_whatever_a_body_raises_is_one_error(error):
    class Answer(Closable):
        length = None

        def read(self, size):
            raise error

    opened, sock = Closable(), socket.socket()
    stream = AnswerStream(Answer(), Received(sock, b"", 0, 1), 1, opened, None)
    with pytest.raises(NoAnswerError, match="its answer broke off"):
        stream.read()
    assert opened.closed
    sock.close()
