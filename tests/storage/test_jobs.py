"""Jobs: the breaker that stands before every transport, and plugins that do not keep their promises."""

from contextlib import closing

import pytest
from django.core.files.base import ContentFile

from kit.hosts import MemoryTransport, make
from resto import health
from resto.courses import Arrival, as_method, course_of, finish
from resto.exceptions import (
    HostUnavailableError,
    RemoteFileNotFoundError,
    ReplicationError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.executors.inline import InlineExecutor
from resto.health import FIRST_PAUSE, MAX_FAILURES, PROBE_PATIENCE
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.storage.files import SharedContent


# The breaker, which stands before every transport.


class ScriptedTransport(MemoryTransport):
    """Does to each request what a script says: raises an error, or goes on."""

    def __init__(self, base_url, *, timeout=2, script, begins=False):
        super().__init__(base_url, timeout=timeout)
        self.script, self.begins = script, begins
        self.asked = []

    def identify(self, host):
        return host.lower()

    @as_method
    def exists(self, host, name):
        """Ask a host, by two requests; in a thread, unless it can begin without."""
        if not self.begins:
            yield None
        self.asked.append(host)
        yield Arrival(0, deadline=0)
        yield Arrival(0, deadline=0)
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error(host, name)
        return False

    size = delete = exists

    @as_method
    def create(self, host, name, content):
        return course_of(self.exists, host, name)


def no_answer(host, name):
    return HostUnavailableError(host, name, "upload", "connection refused", ambiguous=True)


def scripted(script, hosts=("one",), storage_class=DistributedStorage, *, begins=False, **options):
    transport_options = {"script": script, "begins": begins}
    return make(hosts, storage_class, transport=ScriptedTransport, transport_options=transport_options, **options)


def upload(storage, host="one"):
    [outcome] = [found for found in outcomes_of_a_save(storage) if found.host == host]
    return outcome


def outcomes_of_a_save(storage):
    content = SharedContent(ContentFile(b""))
    try:
        return storage._run(storage.upload, storage.hosts, "a", content)
    finally:
        content.close()


def opened(storage):
    for _ in range(MAX_FAILURES):
        upload(storage)
    assert health.state("one").state == "open"
    storage.transport.asked.clear()
    return storage


def execute_upload(storage):
    with closing(SharedContent(ContentFile(b""))) as content:
        storage.execute(storage.upload, "a", content)


ACTIONS = {
    "upload": execute_upload,
    "delete": lambda storage: storage.delete("a"),
    "exists": lambda storage: storage.exists("a"),
    "size": lambda storage: storage.size("a"),
}


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("executor", ["inline", "thread"])
@pytest.mark.parametrize(("action", "act"), ACTIONS.items(), ids=ACTIONS)
def test_host_that_cannot_be_reached_is_not_asked(breaker_clock, executor, begins, action, act):
    storage = opened(scripted([no_answer] * 3, begins=begins, executor=executor))

    with pytest.raises(ReplicationError) as caught:
        act(storage)

    assert storage.transport.asked == []
    error = caught.value.__cause__
    assert (type(error), error.ambiguous) == (HostUnavailableError, False)
    assert str(error) == (
        f"one: {action} of 'a' failed: it could not be reached 3 times in a row "
        "(connection refused); it is not asked again for 1 s"
    )


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage])
def test_host_that_cannot_be_reached_gets_no_replicas(breaker_clock, media_root, storage_class, begins):
    script = [no_answer] * 3
    storage = scripted(script, storage_class=storage_class, begins=begins, fatal_exceptions=False)
    for number in range(MAX_FAILURES + 1):
        storage.save(f"{number}", ContentFile(b""))

    assert script == []
    assert storage.transport.asked == ["one"] * 3


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        None,
        lambda host, name: UnexpectedStatusCode(host, name, "upload", 500, "500"),
        lambda host, name: RemoteFileNotFoundError(host, name, "upload", "404"),
        lambda host, name: TransportError(host, name, "upload", "it stored 1 of 2 bytes"),
    ],
    ids=["success", "500", "404", "failure"],
)
def test_any_answer_counts_as_one(begins, answer):
    storage = scripted([no_answer, no_answer, answer], begins=begins)
    for failures in (1, 2, 0):
        upload(storage)
        assert health.state("one").failures == failures


@pytest.mark.parametrize("begins", [False, True])
def test_what_goes_wrong_on_this_machine_tells_nothing_of_the_host(begins):
    storage = scripted([no_answer, lambda host, name: FileNotFoundError("is it mounted?"), no_answer], begins=begins)
    for failures in (1, 1, 2):
        upload(storage)
        assert health.state("one").failures == failures


def test_other_hosts_are_asked(breaker_clock):
    storage = scripted([no_answer, None] * 3, ["one", "two"])
    assert [outcome.ok for _ in range(4) for outcome in outcomes_of_a_save(storage)] == [False, True] * 4
    assert storage.transport.asked == ["one", "two"] * 3 + ["two"]


def test_breaker_is_that_of_all_storages_and_spellings(breaker_clock):
    opened(scripted([no_answer] * 3))
    other = scripted([], ["ONE"])

    assert not upload(other, "ONE").ok
    assert other.transport.asked == []


def test_outcome_counts_when_the_action_ends(breaker_clock):
    storage = scripted([no_answer, None], begins=True)
    job = storage._job(storage.remove, "one", "a")
    course = job.carry_out()
    assert [next(course) is None, next(course) is None] == [False, False]
    assert health.state("one").failures == 0
    assert not finish(course).ok
    assert health.state("one").failures == 1

    course = job.carry_out()
    assert [next(course) is None, next(course) is None] == [False, False]
    assert health.state("one").failures == 1
    assert finish(course).ok
    assert health.state("one").failures == 0


@pytest.mark.parametrize("begins", [False, True])
def test_host_that_is_back_is_asked_again(breaker_clock, begins):
    storage = opened(scripted([no_answer] * 3, begins=begins))
    breaker_clock.pass_(FIRST_PAUSE)

    assert [upload(storage).ok for _ in range(3)] == [True] * 3
    assert health.state("one").state == "closed"


@pytest.mark.parametrize("begins", [False, True])
def test_interrupted_probe_is_followed_by_another(breaker_clock, begins):
    def interrupt(host, name):
        raise KeyboardInterrupt

    storage = opened(scripted([no_answer] * 3 + [interrupt], begins=begins))
    breaker_clock.pass_(FIRST_PAUSE)
    with pytest.raises(KeyboardInterrupt):
        upload(storage)

    assert upload(storage).ok


def test_probe_that_nobody_resumes_is_followed_by_another(breaker_clock):
    storage = opened(scripted([no_answer] * 3, begins=True))
    breaker_clock.pass_(FIRST_PAUSE)
    probe = storage._job(storage.remove, "one", "a").carry_out()
    assert next(probe) is not None
    assert not upload(storage).ok

    breaker_clock.pass_(PROBE_PATIENCE)
    assert upload(storage).ok


def test_host_is_asked_by_whoever_calls_a_method_himself(breaker_clock):
    """As somebody does who repairs it."""
    storage = opened(scripted([no_answer] * 3))

    assert storage.remove("one", "a") is False
    assert storage.transport.asked == ["one"]


# Plugins that do not keep their promises.


class LosingExecutor(InlineExecutor):
    def __init__(self, *, answer):
        self.answer = answer

    def run(self, jobs):
        outcomes = super().run(jobs)
        return self.answer(outcomes)

    def submit(self, jobs):
        self.answer(None)


def fail_to_run(outcomes):
    raise RuntimeError("out of threads")


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (lambda outcomes: [], "did not return a list with one outcome for each job"),
        (lambda outcomes: outcomes[:1], "did not return a list"),
        (lambda outcomes: iter(outcomes), "did not return a list"),
        (lambda outcomes: [True, True], "did not return a list"),
        (lambda outcomes: None, "did not return a list"),
        (fail_to_run, "raised RuntimeError: out of threads"),
    ],
    ids=["none", "few", "iterator", "no outcomes", "nothing", "error"],
)
def test_executor_that_tells_no_outcomes_fails_all_hosts(media_root, answer, what):
    storage = HybridStorage(
        ["good-1", "good-2"],
        "/media/",
        transport=MemoryTransport,
        executor=LosingExecutor,
        executor_options={"answer": answer},
    )
    with pytest.raises(ReplicationError, match=f"the executor LosingExecutor {what}") as caught:
        storage.save("a", ContentFile(b""))
    assert [outcome.host for outcome in caught.value.failures] == ["good-1", "good-2"]


def test_executor_that_cannot_submit_fails_all_hosts(media_root, caplog):
    storage = AsyncStorage(
        ["good-1", "good-2"],
        "/media/",
        transport=MemoryTransport,
        executor=LosingExecutor,
        executor_options={"answer": fail_to_run},
    )
    assert storage.save("a", ContentFile(b"")) == "a"
    assert [record.getMessage() for record in caplog.records] == [
        f"Failed to upload a on {host}. The executor LosingExecutor raised RuntimeError: out of threads."
        for host in ("good-1", "good-2")
    ]
