"""Options, hosts and the execution of actions, as all storages have them."""

import gc
import logging
import pickle
import sys
import threading
import weakref

import pytest
from django.core.files.base import ContentFile

from resto import health
from resto.courses import Arrival, as_method, course_of, finish
from resto.exceptions import (
    ConfigurationError,
    HostUnavailableError,
    RemoteFileNotFoundError,
    ReplicationError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.executors import Executor
from resto.executors.inline import InlineExecutor
from resto.executors.thread import ThreadExecutor
from resto.health import FIRST_PAUSE, MAX_FAILURES, PROBE_PATIENCE
from resto.outcomes import Outcome
from resto.settings import DEFAULTS
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.storage.base import StorageOptions, find_host
from resto.storage.files import SharedContent
from resto.transports import Transport
from resto.transports.http import HttpTransport


class MemoryTransport(Transport):
    """Hosts that are dictionaries; one whose address starts with "bad" fails."""

    def __init__(self, base_url, *, timeout=2, color="red", broken=False):
        super().__init__(base_url, timeout=timeout)
        if broken:
            raise ConfigurationError("it is broken")
        self.color = color
        self.files = {}

    def _check(self, host, name, action):
        if host.startswith("bad"):
            raise TransportError(host, name, action, "something went wrong")

    def open(self, host, name):
        raise NotImplementedError

    def exists(self, host, name):
        self._check(host, name, "exists")
        return (host, name) in self.files

    def size(self, host, name):
        self._check(host, name, "size")
        return len(self.files[host, name])

    def create(self, host, name, content):
        self._check(host, name, "upload")
        existed = self.exists(host, name)
        self.files[host, name] = content if isinstance(content, bytes) else content.read()
        return existed

    def delete(self, host, name):
        self._check(host, name, "delete")
        return self.files.pop((host, name), None) is not None


class SubmitOnlyExecutor(Executor):
    supports_run = False

    def run(self, jobs):
        raise NotImplementedError

    def submit(self, jobs):
        pass


def make(hosts=("one", "two"), storage_class=DistributedStorage, **options):
    return storage_class(hosts, "/media/", **{"transport": MemoryTransport, "executor": "inline"} | options)


# Options.


@pytest.mark.parametrize(
    ("option", "value", "other", "read"),
    [
        ("fatal_exceptions", False, True, lambda storage: storage.fatal_exceptions),
        ("show_traceback", True, False, lambda storage: storage.show_traceback),
        ("timeout", 7, 8, lambda storage: storage.transport.timeout),
        ("transport", HttpTransport, MemoryTransport, lambda storage: type(storage.transport)),
        ("transport_options", {"auth": None}, {"auth": {}}, lambda storage: {"auth": literal_auth(storage)}),
        ("executor", InlineExecutor, ThreadExecutor, lambda storage: type(storage.executor)),
    ],
)
def test_option_comes_before_its_setting(settings, option, value, other, read):
    setattr(settings, f"RESTO_{option.upper()}", other)

    assert read(DistributedStorage(["one"])) == other
    assert read(DistributedStorage(["one"], **{option: value})) == value


def literal_auth(storage):
    return {} if storage.has_literal_credentials() else None


def test_every_option_has_a_setting():
    assert {option.upper() for option in StorageOptions.__annotations__} < set(DEFAULTS)


def test_none_falls_back_to_the_setting(settings):
    settings.RESTO_TIMEOUT = 9

    assert make(timeout=None).transport.timeout == 9


def test_hosts_fall_back_to_the_setting(settings):
    storage = DistributedStorage(transport=MemoryTransport)
    settings.RESTO_MEDIA_HOSTS = ["one", {"url": "two", "color": "blue"}]

    assert storage.hosts == ("one", "two")
    settings.RESTO_MEDIA_HOSTS = ["three"]
    assert storage.hosts == ("three",)


def test_host_has_options_of_its_own():
    storage = make(["one", {"url": "two", "color": "blue", "timeout": 5}], transport_options={"color": "green"})

    assert [storage.transport_for(host).color for host in storage.hosts] == ["green", "blue"]
    assert [storage.transport_for(host).timeout for host in storage.hosts] == [2, 5]
    assert storage.transport_for("one") is storage.transport


def test_composition_is_made_once():
    storage = make()

    assert storage.transport is storage.transport
    assert storage.executor is storage.executor


@pytest.mark.parametrize(
    ("name", "value", "renewed"), [("RESTO_CREDENTIALS", {}, True), ("MEDIA_URL", "/x/", True), ("DEBUG", True, False)]
)
def test_composition_is_made_again_when_a_setting_changes(settings, name, value, renewed):
    storage = make()
    transport = storage.transport

    setattr(settings, name, value)

    assert (storage.transport is not transport) is renewed


def test_storage_that_is_dropped_closes_its_connections(resto_server):
    """Nothing else does so when the setting STORAGES changes."""
    storage = DistributedStorage([resto_server.url], executor="inline")
    storage.exists("a")
    dropped = weakref.ref(storage)

    del storage
    gc.collect()  # an unclosed socket would be a warning

    assert dropped() is None


def test_storages_may_be_composed_by_several_threads_at_once():
    storage, barrier, found = make(), threading.Barrier(4), []

    def compose():
        barrier.wait()
        found.append(storage.transport)

    threads = [threading.Thread(target=compose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(isinstance(transport, MemoryTransport) for transport in found)


def test_defaults():
    storage = DistributedStorage(["one"])

    assert (type(storage.transport), type(storage.executor)) == (HttpTransport, ThreadExecutor)
    assert (storage.fatal_exceptions, storage.show_traceback, storage.transport.timeout) == (True, False, 2)


def test_literal_credentials_are_noticed():
    literal = {"url": "https://two.example.com/", "auth": ("user", "password")}

    assert not DistributedStorage(["one"]).has_literal_credentials()
    assert DistributedStorage(["one", literal]).has_literal_credentials()


# What is wrong with them.


BAD_OPTIONS = [
    ({"hosts": []}, "no hosts"),
    ({"hosts": "one"}, "hosts must be a list"),
    ({"hosts": ["one", "one"]}, "hosts 'one' and 'one' are the same"),
    ({"timeout": 0}, "the timeout must be a positive number, not 0"),
    ({"hosts": [{"url": "one", "timeout": "long"}]}, "the timeout must be a positive number, not 'long'"),
    ({"transport": "missing"}, "missing"),
    ({"executor": "missing"}, "missing"),
    ({"transport_options": []}, "transport_options must be a mapping, not list"),
    ({"executor_options": []}, "executor_options must be a mapping, not list"),
    ({"transport_options": {"colour": "red"}}, "wrong transport_options: .*colour"),
    ({"executor_options": {"threads": 3}}, "wrong executor_options: "),
    ({"transport_options": {"broken": True}}, "it is broken"),
    ({"executor": SubmitOnlyExecutor}, "DistributedStorage waits for its hosts, which SubmitOnlyExecutor cannot do"),
]


@pytest.mark.parametrize(("options", "problem"), BAD_OPTIONS)
def test_bad_option_is_found_without_sending_anything(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        make(**options).save("a", ContentFile(b""))
    assert [type(found) for found in make(**options).problems()] == [ConfigurationError]


@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage])
@pytest.mark.parametrize(
    "act",
    [
        lambda storage: storage.save("a", ContentFile(b"new")),
        lambda storage: storage.delete("old"),
        lambda storage: storage.open("old", "ab"),
    ],
    ids=["save", "delete", "open"],
)
def test_bad_option_is_found_before_the_master_copy_changes(storage_class, media_root, act):
    media_root.mkdir()
    (media_root / "old").write_bytes(b"old")

    with pytest.raises(ConfigurationError):
        act(make(transport="missing", storage_class=storage_class))
    assert {path.name: path.read_bytes() for path in media_root.iterdir()} == {"old": b"old"}


def test_all_problems_are_told_at_once():
    storage = make(hosts=[], transport="missing", executor="missing", timeout=-1)

    assert len(storage.problems()) == 4


def test_good_options_have_no_problems():
    assert make().problems() == []


def test_async_storage_takes_an_executor_that_only_submits():
    assert make(executor=SubmitOnlyExecutor, storage_class=AsyncStorage).problems() == []


# Execution.


def test_execute_returns_outcomes_in_the_order_of_the_hosts():
    storage = make()

    def touch(host, name, *args, **kwargs):
        return host, name, args, kwargs

    outcomes = storage.execute(touch, "a", 1, option=2)

    assert [outcome.value for outcome in outcomes] == [(host, "a", (1,), {"option": 2}) for host in ("one", "two")]
    assert {outcome.action for outcome in outcomes} == {"touch"}


def test_execute_raises_every_failure_at_once():
    with pytest.raises(ReplicationError) as caught:
        make(["bad-1", "one", "bad-2"]).save("a", ContentFile(b""))

    error = caught.value
    assert [outcome.host for outcome in error.failures] == ["bad-1", "bad-2"]
    assert [outcome.host for outcome in error.outcomes] == ["bad-1", "one", "bad-2"]
    assert error.__cause__ is error.outcomes[0].error
    assert str(error).startswith(
        "upload of 'a' failed on 2 of 3 hosts: bad-1: something went wrong; bad-2: something went wrong"
    )
    assert pickle.loads(pickle.dumps(error)).failures[1].host == "bad-2"


def test_execute_returns_failures_without_fatal_exceptions():
    outcomes = make(["bad", "one"], fatal_exceptions=False).execute(lambda host, name: 1 / (host == "one"), "a")

    assert [outcome.ok for outcome in outcomes] == [False, True]


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_execute_can_be_overridden(storage_class, media_root):
    calls = []

    class Recording(storage_class):
        def execute(self, func, name, *args, **kwargs):
            calls.append((func.__name__, name))
            return super().execute(func, name, *args, **kwargs)

    storage = make(storage_class=Recording)
    storage.save("a", ContentFile(b""))
    storage.delete("a")

    assert calls == [("upload", "a"), ("remove", "a")]


def test_fatal_exceptions_may_be_an_attribute_of_a_class():
    class Available(DistributedStorage):
        fatal_exceptions = False

    assert make(["bad", "one"], storage_class=Available).save("a", ContentFile(b"")) == "a"


def test_transport_for_an_unknown_host_is_an_error():
    with pytest.raises(ValueError, match="'three' is not a host of this storage, which has one, two"):
        make().transport_for("three")


def test_host_is_found_however_it_is_spelled():
    storage = make(["http://one", "http://two/media/"], transport="http")
    assert find_host(storage, "HTTP://one:80/") == "http://one"
    assert find_host(storage, "http://two/media") == "http://two/media/"
    assert find_host(storage, "http://two/") is None
    assert find_host(storage, "ftp://one/") is None


# The log.


def messages(caplog):
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda storage: storage.save("a", ContentFile(b"")), "Failed to upload a on bad. Something went wrong."),
        (lambda storage: storage.delete("a"), "Failed to delete a on bad. Something went wrong."),
    ],
)
@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage, DistributedStorage])
def test_failed_write_is_logged(storage_class, media_root, caplog, act, message):
    media_root.mkdir()
    act(make(["bad", "one"], storage_class, fatal_exceptions=False))

    assert ("resto", "ERROR", message) in messages(caplog)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("download", "Failed to download a from bad. It broke."),
        ("exists", "Failed to check if a exists on bad. It broke."),
        ("size", "Failed to get the size of a from bad. It broke."),
        ("listdir", "Failed to list a on bad. It broke."),
        ("modified_time", "Failed to get the modification time of a from bad. It broke."),
        ("polish", "Failed to polish a on bad. It broke."),
    ],
)
def test_failure_of_each_action_has_its_message(caplog, action, message):
    make().report(Outcome(action, "bad", "a", 0.1, error=TransportError("bad", "a", action, "it broke")))

    assert messages(caplog) == [("resto", "ERROR", message)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("it broke"), "ValueError: it broke."), (ValueError(), "ValueError."), (OSError(), "OSError.")],
)
def test_failure_of_any_kind_has_a_reason(caplog, error, reason):
    make().report(Outcome("upload", "bad", "a", 0.1, error=error))

    assert messages(caplog) == [("resto", "ERROR", f"Failed to upload a on bad. {reason}")]


@pytest.mark.parametrize("show", [True, False])
def test_traceback_is_shown_on_demand(caplog, settings, show):
    settings.RESTO_SHOW_TRACEBACK = show

    make(["bad", "one"]).exists("a")

    assert ("Traceback (most recent call last)" in caplog.text) is show


def test_success_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG, "resto")

    make().save("a", ContentFile(b""))

    assert caplog.records == []


def test_put_on_an_existing_file_is_logged(caplog):
    storage = make()
    storage.save("a", ContentFile(b""))

    storage._save("a", ContentFile(b""))

    assert messages(caplog) == [("resto", "WARNING", f"PUT on existing file a on {host}.") for host in ("one", "two")]


@pytest.mark.parametrize("storage_class", [HybridStorage, AsyncStorage, DistributedStorage])
def test_delete_of_a_missing_file_is_logged(storage_class, media_root, caplog):
    media_root.mkdir()

    make(storage_class=storage_class).delete("a")

    assert messages(caplog) == [("resto", "WARNING", f"DELETE on missing file a on {host}.") for host in ("one", "two")]


def test_interruption_is_logged_for_each_host(caplog, monkeypatch):
    """Nobody can say what the hosts have got, and there is no outcome that would be logged."""
    storage = make()
    monkeypatch.setattr(storage.executor, "run", fail_with_interruption)

    def upload(host, name):
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        storage.execute(upload, "a")

    problem = "It was interrupted, and perhaps not carried out."
    assert [text for _, _, text in messages(caplog)] == [
        f"Failed to upload a on {host}. {problem}" for host in ("one", "two")
    ]


def fail_with_interruption(jobs):
    raise KeyboardInterrupt


def test_sentence_in_the_log_ends_once(caplog):
    make().report(Outcome("upload", "one", "a", 0.1, error=TransportError("one", "a", "upload", "is it on?")))

    assert messages(caplog) == [("resto", "ERROR", "Failed to upload a on one. Is it on?")]


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


ACTIONS = {
    "upload": lambda storage: storage._save("a", ContentFile(b"")),
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


@pytest.mark.parametrize("told", [None, 1, "yes"])
def test_existence_that_a_transport_does_not_tell_is_no_absence(told, monkeypatch):
    monkeypatch.setattr(MemoryTransport, "exists", lambda self, host, name: told)
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError, match=f"the transport MemoryTransport returned {told!r}, no bool"):
        storage.exists("a")


@pytest.mark.parametrize("told", [None, "7", True])
def test_size_that_a_transport_does_not_tell(told, monkeypatch):
    monkeypatch.setattr(MemoryTransport, "size", lambda self, host, name: told)
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError, match=f"the transport MemoryTransport returned {told!r}, no int"):
        storage.size("a")


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_missing_directory_is_a_failure_of_a_write(storage_class, media_root, monkeypatch, caplog):
    """FTP says the same of a file that is not there and of a directory."""

    def create(self, host, name, content):
        raise RemoteFileNotFoundError(host, name, "upload", "550 No such directory")

    monkeypatch.setattr(MemoryTransport, "create", create)
    storage = storage_class(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError):
        storage.save("a", ContentFile(b""))
    assert "Failed to upload a on good-1. 550 No such directory." in caplog.text


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_what_is_undone_is_not_done_within_the_failure(storage_class, media_root, monkeypatch):
    """Libraries look at the exception that is being handled to find out why something has failed."""
    handled = []

    def create(self, host, name, content):
        raise UnexpectedStatusCode(host, name, "upload", 507, "full")

    monkeypatch.setattr(MemoryTransport, "create", create)
    monkeypatch.setattr(MemoryTransport, "delete", lambda self, host, name: handled.append(sys.exception()) or False)
    storage = storage_class(["good-1"], "/media/", transport=MemoryTransport, executor="inline")
    with pytest.raises(ReplicationError):
        storage._save("a", ContentFile(b""))
    assert handled in ([None], [])


def test_host_in_front_of_a_problem_is_not_capitalized(caplog):
    storage = DistributedStorage(["good-1"], "/media/", transport=MemoryTransport)
    error = TransportError("good-1", "a", "repair", "http://media-1/ would know what it should have: refused")
    storage.report(Outcome("repair", "good-1", "a", 0.1, error=error))
    assert "Failed to repair a on good-1. http://media-1/ would know what it should have: refused." in caplog.text
