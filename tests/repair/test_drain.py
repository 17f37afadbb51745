"""The drain: hosts get what they have missed."""

from contextlib import contextmanager, suppress
from functools import partial

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.hosts import try_hosts
from resto import health
from resto.exceptions import ReplicationError
from resto.executors.queue import QueueExecutor
from resto.models import Pending
from resto.progress import Progress
from resto.record import claims, leases, opening
from resto.repair import drain as module
from resto.repair import queues, strangers
from resto.repair.drain import Drained, drain
from resto.storage import HybridStorage
from resto.workers import perform


pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock of the record and of the breakers."""
    clock = [1_000_000.0]
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, lambda: clock[0], lambda low, high: 1))
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    monkeypatch.setattr(leases, "_unreachable", set())
    monkeypatch.setattr(leases, "_hastened", {})
    monkeypatch.setattr(strangers, "_told", {})
    monkeypatch.setattr(queues, "_warned", {})
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def storage(settings, media_root, servers):
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}}}
    return storages["default"]


def test_host_gets_what_it_has_missed(storage, servers, clock):
    storage.save("gone", ContentFile(b"old"))
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    storage.save("d/b", ContentFile(b"2"))
    storage.delete("gone")
    servers[1].refuse = False
    clock[0] += 10
    drained = drain()
    assert (drained, drained.removed) == (Drained(done=3), 1)
    assert servers[1].files == servers[0].files == {"a": b"1", "d/b": b"2"}
    assert Pending.objects.count() == 0


def test_nothing_is_due(storage):
    assert drain() == Drained()
    assert Drained().claimed == 0


def test_state_at_the_time_counts(storage, servers, clock):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    storage.delete("a")
    servers[1].refuse = False
    servers[1].create_file("a", b"stale")
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert servers[1].files == {}
    assert Pending.objects.count() == 0


def test_host_that_is_down_is_asked_once(storage, servers, clock):
    servers[1].refuse = servers[2].refuse = True
    for name in "abcde":
        storage.save(name, ContentFile(b"1"))
    servers[2].refuse = False
    before = len(servers[1].requests)
    clock[0] += 10
    assert drain() == Drained(done=5, failed=1, skipped=4)
    assert len(servers[1].requests) - before <= 1
    assert set(servers[2].files) == set("abcde")
    assert Pending.objects.count() == 5
    assert drain() == Drained()  # it is not their time yet


def test_host_that_is_down_is_asked_once_however_much_it_has_missed(storage, servers, clock, monkeypatch):
    """And all that it has missed waits as long as the name that was tried: longer each time."""
    monkeypatch.setattr(module, "BATCH", 4)
    servers[1].refuse = True
    tried = []
    for name in "abcdefghij":
        storage.save(name, ContentFile(b"1"))
    delays = []
    for _ in range(3):
        clock[0] = Pending.objects.latest("due").due
        health.forget()
        with caught(storage, tried):
            assert drain() == Drained(failed=1, skipped=9)
        delays.append([due - clock[0] for due in Pending.objects.values_list("due", flat=True)])
    assert len(tried) == 3
    assert all(max(each) <= 2 * min(each) for each in delays)  # chance makes them differ a little
    assert max(delays[0]) < min(delays[2])


@contextmanager
def caught(storage, tried):
    report = storage.report

    def watch(outcome):
        tried.append(outcome)
        report(outcome)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(storage), "report", lambda self, outcome: watch(outcome))
        yield


def test_host_that_answers_again_gets_everything_at_once(storage, servers, clock):
    servers[1].refuse = True
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    clock[0] += 10
    drain()
    servers[1].refuse = False
    clock[0] += 10
    storage.save("d", ContentFile(b"1"))
    assert drain() == Drained(done=3)
    assert set(servers[1].files) == set("abcd")


@pytest.fixture
def late(storage, servers, settings):
    """The second host, which answers uploads after the timeout; the drain looks before it sends."""
    settings.RESTO_TIMEOUT = 0.3
    servers[1].fault_methods = {"PUT"}
    servers[1].delay = 60
    return servers[1]


def puts(server):
    return [request.path for request in server.requests if request.method == "PUT"]


def test_host_that_stores_a_file_and_answers_too_late_gets_it_once(storage, late, clock, caplog):
    storage.save("a", ContentFile(b"content"))
    clock[0] += 100
    caplog.clear()
    assert drain() == Drained(done=1)
    assert puts(late) == ["/a"]
    assert caplog.messages == [
        f"{late.url} has stored a, but did not answer within 0.3 s: the option 'timeout' is too short for it."
    ]
    assert Pending.objects.count() == 0


def test_what_has_the_right_size_only_is_sent_again(storage, late, clock, media_root):
    """A host that has stored nothing has the old file still."""
    storage.save("a", ContentFile(b"old"))
    clock[0] += 100
    drain()
    late.hang, late.delay = True, 0
    (media_root / "a").write_bytes(b"new")
    with suppress(ReplicationError):
        storage.publish("a")
    late.heal()
    assert late.files == {"a": b"old"}
    clock[0] += 1000
    assert drain() == Drained(done=1)
    assert late.files == {"a": b"new"}


def test_host_that_was_not_reached_is_not_asked_before_it_gets_a_file(storage, servers, clock):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"content"))
    servers[1].refuse = False
    clock[0] += 100
    assert drain() == Drained(done=1)
    assert [request.method for request in servers[1].requests if request.path == "/a"] == ["PUT"]


def test_host_that_answers_too_late_gets_a_file_once_without_a_master_copy(storage, settings, late, clock, caplog):
    options = {"fatal_exceptions": False}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    storages["default"].save("a", ContentFile(b"content"))
    clock[0] += 100
    assert drain() == Drained(done=1)
    assert puts(late) == ["/a"]
    assert "has stored a, but did not answer" in caplog.text
    assert Pending.objects.count() == 0


def test_worker_looks_before_it_sends_again(
    queued, messages, late, settings, clock, caplog, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        queued(messages).save("a", ContentFile(b"1"))
    perform(messages.pop())
    clock[0] += 1000
    assert drain() == Drained(queued=1)
    assert perform(messages.pop()).again == []
    assert puts(late) == ["/a"]
    assert "has stored a, but did not answer" in caplog.text
    clock[0] += 1000
    assert drain().claimed <= 1
    assert Pending.objects.count() == 0


def test_answer_that_is_a_failure_does_not_stop_the_others(storage, servers, clock):
    servers[1].refuse_code = 500
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    clock[0] += 10
    assert drain() == Drained(failed=3)
    servers[1].heal()
    clock[0] += 100
    assert drain() == Drained(done=3)


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("wanted", "seconds"), [("90", 90), ("86400", 600)])
def test_host_that_wants_to_be_left_alone_is(storage, servers, clock, code, wanted, seconds):
    servers[1].refuse_code = code
    for number in range(40):
        storage.save(f"{number:02}", ContentFile(b"1"))
    servers[1].retry_after = wanted
    clock[0] += 10
    before = len(servers[1].log)
    drained = drain()
    assert drained.failed + drained.skipped == 40
    assert drained.failed == 1
    assert len(servers[1].log) - before <= 2
    servers[1].heal()
    clock[0] += seconds - 1
    assert drain() == Drained()
    clock[0] += 1
    assert drain() == Drained(done=40)


def test_process_that_was_killed_is_made_up_for(storage, servers, clock, media_root):
    storage.open_lease("a", storage.hosts, present=True)
    media_root.mkdir(exist_ok=True)
    (media_root / "a").write_bytes(b"1")
    assert drain() == Drained()
    clock[0] += 301
    assert drain() == Drained(done=3)
    assert [server.files for server in servers] == [{"a": b"1"}] * 3


def test_failure_names_what_was_to_be_done(storage, servers, clock, media_root, caplog):
    """Also if the master copy does not tell, as where this user may not look into a directory."""
    media_root.mkdir(exist_ok=True)
    (media_root / "d").symlink_to("d")
    storage.open_lease("d/new", storage.hosts[:1], present=True)
    storage.open_lease("d/gone", storage.hosts[:1], present=False)
    clock[0] += 301
    assert drain() == Drained(failed=2)
    assert f"Failed to upload d/new on {servers[0].url}." in caplog.text
    assert f"Failed to delete d/gone on {servers[0].url}." in caplog.text


def test_limit_and_choice(storage, servers, clock):
    servers[1].refuse = servers[2].refuse = True
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    for server in servers:
        server.refuse = False
    clock[0] += 10
    assert drain(hosts=[servers[2].url], limit=2) == Drained(done=2)
    assert len(servers[2].files) == 2
    assert drain(storage=["other"]) == Drained()
    assert drain(storage=["default"]) == Drained(done=4)


def test_progress_is_told(storage, servers, clock):
    servers[1].refuse = True
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    servers[1].refuse = False
    clock[0] += 10
    told = []
    drain(progress=told.append)
    assert told[-1] == Progress(3, 3, sent_bytes=3, is_final=True)


def test_progress_has_the_bytes_that_hosts_without_a_master_copy_get(settings, servers, clock):
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    options = {"fatal_exceptions": False, "write_quorum": 1}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
    storage = storages["default"]
    servers[1].refuse = True
    for size in (0, 5, 7):
        storage.save(str(size), ContentFile(b"x" * size))
    storage.delete("7")
    servers[1].refuse = False
    clock[0] += 10
    told = []
    assert drain(progress=told.append) == Drained(done=3)
    assert told[-1] == Progress(3, 3, sent_bytes=5, is_final=True)


def test_progress_knows_how_much_is_due(storage, servers, clock, monkeypatch):
    monkeypatch.setattr("resto.progress.INTERVAL", 0)
    monkeypatch.setattr("resto.repair.drain.BATCH", 2)
    monkeypatch.setattr("resto.repair.drain.MOST", 3)
    servers[1].refuse = True
    for number in range(8):
        storage.save(str(number), ContentFile(b"1"))
    servers[1].refuse = False
    clock[0] += 10
    told = []
    drain(limit=7, progress=told.append)
    # Beside the first two, three more were counted; beside the fifth and the sixth, which are claimed together, two, and one is to be done.
    assert [*dict.fromkeys((one.done, one.total, one.is_final) for one in told if one.done)] == [
        (1, 5, False),
        (2, 5, False),
        (3, 5, False),
        (4, 5, False),
        (4, 7, True),
        (5, 7, True),
        (6, 7, True),
        (7, 7, True),
    ]


def test_missing_file_system_is_not_a_deletion(storage, servers, clock, media_root):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[1].refuse = False
    servers[1].create_file("a", b"old")
    (media_root / "a").unlink()
    clock[0] += 10
    assert drain() == Drained(failed=1)
    assert servers[1].files == {"a": b"old"}
    assert "is it mounted?" in Pending.objects.get().error


def test_deletion_of_the_last_file_is_one(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[1].refuse = True
    storage.delete("a")
    servers[1].refuse = False
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert servers[1].files == {}


def test_host_that_the_settings_do_not_have_is_kept_for_a_week(storage, settings, servers, clock, caplog):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    what = f"pending for {servers[1].url}, which is not a host of STORAGES['default'] (names: 1)."
    began = clock[0]
    clock[0] += 10
    assert drain() == Drained(kept=1)
    assert f"Kept what is {what} It is forgotten when it is a week old." in caplog.text
    assert drain() == Drained()  # which would say so each second, if it watched
    clock[0] += 3_600
    assert drain() == Drained(kept=1)
    clock[0] = began + 7 * 86_400 - 1
    assert drain() == Drained(kept=1)
    assert "Forgot" not in caplog.text
    clock[0] += 3_600
    assert drain() == Drained(forgotten=1)
    assert f"Forgot what was {what} It was a week old." in caplog.text
    assert Pending.objects.count() == 0


def test_drain_that_does_not_know_a_new_host_yet_leaves_its_rows_to_one_that_does(storage, settings, servers, clock):
    """While a site is deployed, some of its processes have the settings of before."""
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[1].refuse = False
    new = settings.RESTO_MEDIA_HOSTS
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    clock[0] += 10
    assert drain() == Drained(kept=1)
    settings.RESTO_MEDIA_HOSTS = new
    assert drain() == Drained(done=1)
    assert servers[1].files == {"a": b"1"}


def test_hosts_that_the_settings_do_not_have_are_told_once(storage, settings, servers, clock, caplog, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    servers[1].refuse = servers[2].refuse = True
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    clock[0] += 10
    caplog.clear()
    assert drain() == Drained(kept=6)
    assert ["(names: 3)" in record.getMessage() for record in caplog.records] == [True] * 2


def test_storage_that_the_settings_do_not_have_is_kept_for_a_week(storage, settings, servers, clock, caplog):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    settings.STORAGES = {"other": settings.STORAGES["default"]}
    what = "pending for STORAGES['default'], which is not a storage of resto (names: 1)."
    clock[0] += 10
    assert drain() == Drained(kept=1)
    assert f"Kept what is {what} It is forgotten when it is a week old." in caplog.text
    clock[0] += 7 * 86_400
    assert drain() == Drained(forgotten=1)
    assert f"Forgot what was {what} It was a week old." in caplog.text
    assert Pending.objects.count() == 0


def test_host_that_is_spelled_otherwise_by_now_gets_what_it_has_missed(storage, settings, servers, clock, caplog):
    servers[1].refuse = True
    for name in "abc":
        storage.save(name, ContentFile(b"1"))
    respelled = servers[1].url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [servers[0].url, respelled]
    storages["default"].delete("c")
    assert set(Pending.objects.values_list("host", flat=True)) == {servers[1].url, respelled}
    servers[1].refuse = False
    clock[0] += 10
    caplog.clear()
    assert drain(limit=1) == Drained(done=1)
    assert Pending.objects.count() == 3
    assert drain() == Drained(done=3)
    assert servers[1].files == servers[0].files == {"a": b"1", "b": b"1"}
    assert Pending.objects.count() == 0
    assert all(" were " not in record.getMessage() for record in caplog.records)


def test_storage_that_cannot_be_used_does_not_stop_the_others(storage, settings, servers, clock, caplog):
    settings.STORAGES = settings.STORAGES | {
        "other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"location": "/tmp/other"}}
    }
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    opening.open_lease("other", (servers[0].url,), "b", present=True).release(0)
    servers[1].refuse = False
    settings.STORAGES["other"]["OPTIONS"]["transport"] = "bad"
    settings.STORAGES = dict(settings.STORAGES)
    clock[0] += 10
    assert drain() == Drained(done=1, failed=1)
    assert "Failed to drain STORAGES['other']. no transport named 'bad'" in caplog.text
    assert servers[1].files == {"a": b"1"}
    assert [(row.storage, row.due) for row in Pending.objects.all()] == [("other", pytest.approx(clock[0] + 2, abs=2))]


# Through a task queue.


class ListExecutor(QueueExecutor):
    tried = 0

    def __init__(self, *, messages):
        self.messages = messages

    def enqueue(self, message):
        ListExecutor.tried += 1
        if self.messages is None:
            raise ConnectionError("no queue")
        self.messages.append(message)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def queued(storage, settings, messages):
    def make(messages):
        options = {"executor": ListExecutor, "executor_options": {"messages": messages}}
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": options}}
        return storages["default"]

    return make


def test_draining_goes_through_the_queue(queued, messages, servers, clock, django_capture_on_commit_callbacks):
    storage = queued(messages)
    with django_capture_on_commit_callbacks(execute=True):
        storage.save("a", ContentFile(b"1"))
    servers[1].refuse = True
    done = perform(messages.pop())
    [again] = done.again
    assert again["record"] == Pending.objects.get().owner
    servers[1].refuse = False
    clock[0] += 10
    assert drain() == Drained(queued=1)
    [message] = messages
    assert (message["hosts"], message["action"]) == ([servers[1].url], "update")
    assert perform(message).again == []
    assert servers[1].files == {"a": b"1"}
    assert Pending.objects.count() == 0


def test_queue_gets_the_spelling_of_the_settings(queued, settings, messages, servers, clock):
    opening.open_lease("default", [servers[1].url], "a", present=True).release(0)
    respelled = servers[1].url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [respelled]
    queued(messages)
    assert drain() == Drained(queued=1)
    [message] = messages
    assert (message["hosts"], message["record"]) == ([respelled], Pending.objects.get().owner)


@pytest.fixture
def saved(queued, messages, django_capture_on_commit_callbacks):
    """A function that saves files through a queue which takes messages, and, if it does so no more, one that does not."""

    def save(*names, lost=False):
        with django_capture_on_commit_callbacks(execute=True):
            for name in names:
                queued(None if lost else messages).save(name, ContentFile(name.encode()))

    return save


def test_drain_does_the_work_of_a_queue_that_is_down(saved, servers, clock, caplog):
    """It tries the queue once."""
    saved("a", "b", lost=True)
    clock[0] += 100
    caplog.clear()
    tried = ListExecutor.tried
    assert drain() == Drained(done=6)
    assert ListExecutor.tried == tried + 1
    assert [server.files for server in servers] == [{"a": b"a", "b": b"b"}] * 3
    assert Pending.objects.count() == 0
    assert caplog.messages == [
        "The task queue did not take it: ConnectionError: no queue. "
        "This drain does what is due of STORAGES['default'] itself."
    ]


def test_queue_that_is_down_leaves_it_recorded_for_a_drain_that_may_not_do_it(saved, servers, clock, caplog):
    saved("a", lost=True)
    clock[0] += 100
    caplog.clear()
    assert drain(direct=False) == Drained(failed=3)
    assert Pending.objects.count() == 3
    assert len([text for text in caplog.messages if "The task queue did not take it" in text]) == 3
    assert [server.requests for server in servers] == [[], [], []]


def test_drain_that_is_to_do_it_asks_no_queue(saved, messages, servers, clock):
    saved("a")
    messages.clear()
    clock[0] += 301
    assert drain(direct=True) == Drained(done=3)
    assert messages == []
    assert [server.files for server in servers] == [{"a": b"a"}] * 3


@pytest.mark.parametrize("worker_is", ["faster", "slower", "in between"])
def test_queue_that_takes_a_message_and_does_not_say_so(saved, messages, servers, clock, monkeypatch, worker_is):
    """Whoever gets the rows first does it, and nobody sends it twice."""
    saved("a")
    [first] = messages
    messages.clear()
    clock[0] += 301
    take_back = claims.take_back

    def enqueue(self, message):
        self.messages.append(message)
        raise ConnectionError("no answer")

    def watch(piece):
        if worker_is == "faster":
            perform(messages[-1])
        taken = take_back(piece)
        assert (taken is None) is (worker_is == "faster")
        if worker_is == "in between":
            owners = set(Pending.objects.values_list("host", "owner"))
            assert perform(messages[-1]).outcomes == []  # it gets no rows by the token that it brings
            assert set(Pending.objects.values_list("host", "owner")) == owners
            assert Pending.objects.get(host=piece.host).opened_by == ""
        return taken

    monkeypatch.setattr(ListExecutor, "enqueue", enqueue)
    monkeypatch.setattr(claims, "take_back", watch)
    drained = drain()
    assert drained == (Drained(queued=1, done=2) if worker_is == "faster" else Drained(done=3))
    assert [server.files for server in servers] == [{"a": b"a"}] * 3
    for message in (first, *messages):
        assert perform(message).again == []
    puts = [request for server in servers for request in server.requests if request.method == "PUT"]
    assert len(puts) == 3
    assert Pending.objects.count() == 0


def test_drain_does_what_nobody_has_taken_from_the_queue_for_two_leases(saved, messages, servers, clock, caplog):
    saved("a")
    caplog.clear()
    clock[0] += 301
    assert drain() == Drained(queued=3)
    clock[0] += 598
    assert drain() == Drained()
    assert caplog.messages == []
    clock[0] += 2
    assert drain() == Drained(done=3)
    assert [server.files for server in servers] == [{"a": b"a"}] * 3
    assert caplog.messages == [
        "Nobody takes what is in the task queue; does a worker run? This drain does what is due of STORAGES['default'] itself."
    ]
    assert len(messages) == 4
    before = [len(server.requests) for server in servers]
    for message in messages:
        assert perform(message).again == []
    asked = [server.requests[number:] for server, number in zip(servers, before, strict=True)]
    # The first message is for all hosts, the others are for one each.
    assert [[request.method for request in each] for each in asked] == [["HEAD", "HEAD"]] * 3
    assert Pending.objects.count() == 0


def test_drain_that_may_not_do_it_hands_it_over_again_and_waits_longer_each_time(saved, messages, servers, clock):
    saved("a")
    waited = []
    for _ in range(9):
        due = Pending.objects.latest("due").due
        waited.append(due - clock[0])
        clock[0] = due
        assert drain(direct=False) == Drained(queued=3)
    assert waited == [300 * leases for leases in (1, 1, 2, 4, 8, 16, 32, 64, 64)]
    assert [server.requests for server in servers] == [[], [], []]


def test_drain_that_does_the_work_of_a_queue_goes_on_when_a_host_is_back(saved, messages, servers, clock, caplog):
    """It does not hand over once more what it could not do."""
    saved("a", "b")
    clock[0] += 301
    drain()
    servers[1].refuse = True
    clock[0] += 600
    health.forget()
    assert drain() == Drained(done=4, failed=1, skipped=1)
    messages.clear()
    servers[1].refuse = False
    clock[0] += 5
    health.forget()
    caplog.clear()
    assert drain() == Drained(done=2)
    assert messages == []
    assert caplog.messages == []  # it has said that a moment ago
    assert servers[1].files == servers[0].files == {"a": b"a", "b": b"b"}


def test_interrupted_drain_leaves_what_it_has_taken_back(saved, servers, clock, monkeypatch):
    saved("a", lost=True)
    clock[0] += 100

    def interrupt(self, work):
        raise KeyboardInterrupt

    monkeypatch.setattr(HybridStorage, "repair_jobs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        drain()
    monkeypatch.undo()
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    assert drain() == Drained(done=3)


LATE = {
    "nothing has changed": (lambda storage: None, ["HEAD"], b"a"),
    "deleted, and that is done": (lambda storage: storage.delete("a"), ["HEAD"], None),
    "another size on the host": (lambda storage: None, ["HEAD", "PUT"], b"a"),
    "not on the host": (lambda storage: None, ["HEAD", "PUT"], b"a"),
    "not to be on the host": (lambda storage: storage.delete("a"), ["HEAD", "DELETE"], None),
    "the host does not say": (lambda storage: None, ["HEAD", "PUT"], b"a"),
}
BEHIND = {"another size on the host": b"longer", "not on the host": None, "not to be on the host": b"a"}


@pytest.mark.parametrize("case", LATE)
def test_message_that_finds_nothing_pending_looks_before_it_sends(
    saved, messages, servers, clock, media_root, caplog, django_capture_on_commit_callbacks, case
):
    change, methods, expected = LATE[case]
    saved("a", "other")
    late = messages[0]
    with django_capture_on_commit_callbacks(execute=True):
        change(storages["default"])
    for message in messages:
        perform(message)
    assert Pending.objects.count() == 0
    if case in BEHIND:  # behind resto's back
        for server in servers:
            server.delete_file("a") if BEHIND[case] is None else server.create_file("a", BEHIND[case])
    try_hosts(storages["default"])
    if case == "the host does not say":
        for server in servers:
            server.refuse_code, server.fault_methods = 500, {"HEAD"}
    before = [len(server.requests) for server in servers]
    caplog.clear()
    assert perform(late).again == []
    asked = [server.requests[number:] for server, number in zip(servers, before, strict=True)]
    assert [[request.method for request in each] for each in asked] == [methods] * 3
    assert [server.files.get("a") for server in servers] == [expected] * 3
    assert Pending.objects.count() == 0
    assert methods != ["HEAD"] or caplog.messages == []


def test_message_that_finds_nothing_pending_and_no_host_is_a_failure(saved, messages, servers):
    """Which is recorded, and nothing is sent to a host that gives no answer."""
    saved("a")
    [message] = messages
    perform(message)
    servers[1].drop_answer, servers[1].fault_methods = True, {"HEAD"}
    [again] = perform(message).again
    assert again["hosts"] == [servers[1].url]
    assert Pending.objects.get().owner == again["record"]
    assert [request.method for request in servers[1].requests].count("PUT") == 1


def test_job_that_is_done_twice_leaves_nothing(queued, messages, clock, django_capture_on_commit_callbacks):
    storage = queued(messages)
    with django_capture_on_commit_callbacks(execute=True):
        storage.save("a", ContentFile(b"1"))
    message = messages.pop()
    assert perform(message).again == perform(message).again == []
    assert Pending.objects.count() == 0


# Rows that resto has not written.

NO_NAMES = [
    "../settings.py",
    "../othersite/index.html",
    "m/../../../../../../etc/hostname",
    "/etc/hostname",
    "a//b",
    "a/./b",
    "d/",
    ".",
    "",
    "a\\..\\b",
    "a\0b",
    ".resto-1",
]


def kinds(queued):
    return {
        "HybridStorage": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"fatal_exceptions": False}},
        "AsyncStorage": {"BACKEND": "resto.storage.AsyncStorage"},
        "queue": {
            "BACKEND": "resto.storage.AsyncStorage",
            "OPTIONS": {"executor": ListExecutor, "executor_options": {"messages": queued}},
        },
        "DistributedStorage": {"BACKEND": "resto.storage.DistributedStorage"},
    }


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("kind", kinds([]))
def test_row_that_names_no_file_is_dropped(storage, settings, servers, clock, media_root, caplog, kind, present):
    queued = []
    settings.STORAGES = {"default": kinds(queued)[kind]}
    media_root.mkdir()
    (media_root / "a").write_bytes(b"1")  # it is not empty
    (media_root.parent / "settings.py").write_bytes(b"SECRET_KEY")
    begin = opening.open_change if kind == "DistributedStorage" else opening.open_lease
    for name in NO_NAMES:
        begin("default", storages["default"].hosts[:1], name, present=present).release(0)
    assert drain() == Drained(dropped=len(NO_NAMES))
    assert [server.requests for server in servers] == [[], [], []]
    assert queued == []
    assert Pending.objects.count() == 0
    assert len([text for text in caplog.messages if text.startswith("Dropped a row of the record: ")]) == len(NO_NAMES)
    assert all(text.isprintable() for text in caplog.messages)


@pytest.mark.parametrize("name", [name for name in NO_NAMES if name])
@pytest.mark.parametrize("kind", ["HybridStorage", "AsyncStorage", "DistributedStorage"])
def test_no_action_is_about_what_is_no_name(storage, settings, servers, media_root, kind, name):
    settings.STORAGES = {"default": kinds([])[kind]}
    media_root.mkdir()
    storage = storages["default"]
    actions = ["remove", "withdraw", *(["upload", "update", "repair"] if kind != "DistributedStorage" else [])]
    for action in actions:
        with pytest.raises(SuspiciousFileOperation):
            getattr(storage, action)(servers[0].url, name)
    assert servers[0].requests == []
    assert Pending.objects.count() == 0


def test_listing_without_a_master_copy_leaves_out_rows_that_name_no_file(settings, resto_server_factory, clock):
    servers = [resto_server_factory() for _ in range(2)]
    settings.RESTO_TRANSPORT = "webdav"
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]
    settings.STORAGES = {"default": kinds([])["DistributedStorage"]}
    for server in servers:
        server.create_file("a", b"1")
    for name in NO_NAMES:
        opening.open_change("default", storages["default"].hosts[:1], name, present=True)
    assert storages["default"].listdir("")[1] == ["a"]
