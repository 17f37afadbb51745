"""What 0.1 has put into queues and schedules is still understood."""

import base64
import pickle

import pytest
from django.utils.module_loading import import_string

from resto.repair.drain import Drained, drain
from resto.storage import HybridStorage


# The data of a job of rq, as `queue.enqueue(storage.upload, host, name)` of 0.1 has made it.
JOB = """
gAWVlwAAAAAAAAAojAZ1cGxvYWSUjApyZXN0by5iYXNllIwIX3JlYnVpbGSUk5SMDXJlc3RvLnN0b3JhZ2WUjA1IeWJyaWRTdG9yYWdl
lJOUXZSMG2h0dHA6Ly9tZWRpYS0xLmV4YW1wbGUuY29tL5RhjAcvbWVkaWEvlIwKL3Nydi9tZWRpYZSHlH2Uh5RSlGgIjAVhLnR4dJSG
lH2UdJQu
"""


# `storage.remove`, pickled by 0.1.
REMOVE = {
    "AsyncStorage": (
        "gASVoAAAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwKcmVzdG8uYmFzZZSMCF9yZWJ1aWxklJOUjA1yZXN0by5zdG9yYWdllIwM"
        "QXN5bmNTdG9yYWdllJOUXZSMG2h0dHA6Ly9tZWRpYS0xLmV4YW1wbGUuY29tL5RhjAcvbWVkaWEvlIwKL3Nydi9tZWRpYZSHlH2Uh5RS"
        "lIwGcmVtb3ZllIaUUpQu"
    ),
    "DistributedStorage": (
        "gASVnQAAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwKcmVzdG8uYmFzZZSMCF9yZWJ1aWxklJOUjBFyZXN0by5kaXN0cmlidXRl"
        "ZJSMEkRpc3RyaWJ1dGVkU3RvcmFnZZSTlF2UjBtodHRwOi8vbWVkaWEtMS5leGFtcGxlLmNvbS+UYYwHL21lZGlhL5SGlH2Uh5RSlIwG"
        "cmVtb3ZllIaUUpQu"
    ),
    "StaticFilesStorage": (
        "gASVmwAAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwKcmVzdG8uYmFzZZSMCF9yZWJ1aWxklJOUjBlyZXN0by5zdGF0aWNmaWxl"
        "cy5zdG9yYWdllIwSU3RhdGljRmlsZXNTdG9yYWdllJOUXZSMG2h0dHA6Ly9tZWRpYS0xLmV4YW1wbGUuY29tL5RhhZR9lIeUUpSMBnJl"
        "bW92ZZSGlFKULg=="
    ),
}

# A result of its drain, in a queue that keeps results.
DRAINED = (
    "gASVaAAAAAAAAACMC3Jlc3RvLmRyYWlulIwHRHJhaW5lZJSTlCmBlE59lCiMBGRvbmWUSwGMBmZhaWxlZJRLAIwHc2tpcHBlZJRLAIwG"
    "cXVldWVklEsAjARrZXB0lEsAjAlmb3Jnb3R0ZW6USwB1hpRiLg=="
)


@pytest.mark.parametrize("kind", REMOVE)
def test_methods_are_unpickled(kind, settings):
    settings.STATIC_ROOT = "/srv/static"
    method = pickle.loads(base64.b64decode(REMOVE[kind]))
    assert (type(method.__self__).__name__, method.__name__) == (kind, "remove")
    assert method.__self__.hosts == ("http://media-1.example.com/",)


def test_result_is_unpickled():
    assert pickle.loads(base64.b64decode(DRAINED)) == Drained(done=1)


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
