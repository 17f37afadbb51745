"""Whoever stops the clocks of a test still waits for hosts no longer than the timeout."""

import time

import pytest
from django.core.files.base import ContentFile
from freezegun import freeze_time

from resto.clock import monotonic
from resto.exceptions import ReplicationError
from resto.storage import HybridStorage


def test_it_goes_on_where_others_are_stopped():
    with freeze_time("2020-01-01"):
        stopped, moment = time.monotonic(), monotonic()
        while monotonic() == moment:
            pass
        assert monotonic() > moment
        assert time.monotonic() == stopped


@pytest.mark.parametrize("executor", ["inline", "thread"])
@pytest.mark.parametrize("fault", [{"hang": True}, {"drip_head": 0.05}], ids=["silent", "slow"])
def test_host_that_does_not_answer_holds_up_nobody(resto_server, media_root, executor, fault):
    storage = HybridStorage([resto_server.url], executor=executor, timeout=0.2)
    storage.save("a", ContentFile(b"1"))  # over a connection that stays
    for name, value in fault.items():
        setattr(resto_server, name, value)
    with freeze_time("2020-01-01"), pytest.raises(ReplicationError, match="no answer within"):
        storage.save("b", ContentFile(b"2"))
    resto_server.heal()
