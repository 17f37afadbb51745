"""A wire that always takes the fast path, also over the first connection."""

from resto.transports.messages import Sent
from resto.transports.wire import ConnectionWire


class BegunWire(ConnectionWire):
    """Sends all that it can without waiting, as a storage does to several hosts over connections that are idle."""

    def send(self, request):
        sent = self.begin(request)
        if sent is None:
            return super().send(request)
        while isinstance(sent, Sent):
            sent = sent.receive()
        return sent

    def _take(self):
        return super()._take() or self._connect()
