"""What 0.1 has put into queues and schedules is still understood."""

import base64
import pickle

from django.utils.module_loading import import_string

from resto.repair.drain import drain
from resto.storage import HybridStorage


# The data of a job of rq, as `queue.enqueue(storage.upload, host, name)` of 0.1 has made it.
JOB = """
gAWVlwAAAAAAAAAojAZ1cGxvYWSUjApyZXN0by5iYXNllIwIX3JlYnVpbGSUk5SMDXJlc3RvLnN0b3JhZ2WUjA1IeWJyaWRTdG9yYWdl
lJOUXZSMG2h0dHA6Ly9tZWRpYS0xLmV4YW1wbGUuY29tL5RhjAcvbWVkaWEvlIwKL3Nydi9tZWRpYZSHlH2Uh5RSlGgIjAVhLnR4dJSG
lH2UdJQu
"""


def test_job_is_unpickled():
    method, storage, args, kwargs = pickle.loads(base64.b64decode(JOB))
    assert type(storage) is HybridStorage
    assert (storage.hosts, storage.base_url, storage.location) == (
        ("http://media-1.example.com/",),
        "/media/",
        "/srv/media",
    )
    assert callable(getattr(storage, method))
    assert (args, kwargs) == (("http://media-1.example.com/", "a.txt"), {})


def test_schedule_finds_the_drain():
    assert import_string("resto.drain.drain") is drain
