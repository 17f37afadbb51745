"""What a storage without a master copy records, and whom it repairs and believes."""

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kit.record import files, pending_for
from resto.exceptions import LeaseLostError, UndecidedError
from resto.models import Pending
from resto.record.changes import holding
from resto.repair.drain import drain
from resto.storage import DistributedStorage


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def missed(make, servers, clock):
    """A storage that only the first of three hosts has followed."""
    storage = make(write_quorum=1)
    servers[1].refuse = servers[2].refuse = True
    storage.save("a", ContentFile(b"1"))
    servers[1].refuse = servers[2].refuse = False
    clock[0] += 100
    return storage


def statements(act):
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"].split()[0] for query in queries if "resto_pending" in query["sql"]]


def test_record_is_asked_once_in_a_save(storage):
    assert statements(lambda: storage.save("a", ContentFile(b"1"))) == ["INSERT", "SELECT", "DELETE"]
    assert storage.exists("a")
    # The name that is taken, and the one that is not.
    assert statements(lambda: storage.save("a", ContentFile(b"1"))) == ["INSERT", "SELECT", "DELETE"] * 2


def test_record_is_asked_once_for_all_names_of_a_drain(storage, servers, clock):
    servers[2].refuse = True
    for number in range(20):
        storage.save(str(number), ContentFile(b"1"))
    servers[2].refuse = False
    clock[0] += 1_000
    assert len(statements(drain)) < 25
    assert files(servers)[2] == files(servers)[0]
    assert pending_for() == []


def test_only_hosts_that_have_missed_nothing_are_believed(missed, servers):
    truth = missed.truth("a")
    assert (truth.hosts, truth.is_settled, truth.is_present) == ((servers[0].url,), True, True)
    assert missed.truth("b").hosts == missed.hosts


def test_only_the_differences_that_are_given_are_put_right(missed, servers):
    assert [outcome.ok for outcome in missed.repair_each([(servers[1].url, "a")])] == [True]
    assert files(servers) == [{"a": b"1"}, {"a": b"1"}, {}]
    assert pending_for() == [(servers[2].url, "a", True)]


def test_difference_for_which_nothing_is_pending_is_left_alone(missed, servers):
    """Nobody knows who is right, and a save may be under way."""
    servers[0].requests.clear()
    (outcome,) = missed.repair_each([(servers[0].url, "a")])
    assert isinstance(outcome.error, UndecidedError)
    assert servers[0].requests == []
    assert len(pending_for()) == 2


def test_withdrawal_is_from_one_host(storage, servers):
    storage.save("a", ContentFile(b"1"))
    assert [storage.withdraw(servers[1].url, "a") for _ in range(2)] == [True, False]
    assert files(servers) == [{"a": b"1"}, {}, {"a": b"1"}]


@pytest.mark.parametrize("name", ["../a", "/a", "d//a"])
def test_withdrawal_of_a_name_that_no_file_has_is_not_sent(storage, servers, name):
    with pytest.raises((SuspiciousFileOperation, ValueError)):
        storage.withdraw(servers[0].url, name)
    assert servers[0].requests == []


def test_nothing_is_withdrawn_under_a_lease_that_somebody_else_has_taken(storage, servers, clock):
    servers[0].create_file("a", b"1")
    lease = storage.open_lease("a", storage.hosts, present=True)
    Pending.objects.update(owner="somebody else")
    clock[0] += lease.seconds / 2
    with holding(lease), pytest.raises(LeaseLostError):
        storage.withdraw(servers[0].url, "a")
    assert files(servers)[0] == {"a": b"1"}


def test_nothing_is_recorded_of_a_storage_that_has_no_alias(storage, servers):
    """A drain would not find it."""
    other = DistributedStorage([server.url for server in servers[:2]], transport="webdav")
    other.save("a", ContentFile(b"1"))
    assert other.open_lease("a", other.hosts, present=True) is None
    assert (other.truth("a").hosts, other.truth("a").is_settled) == (other.hosts, True)
    assert pending_for() == []


def test_record_is_not_asked_if_a_drain_has_claimed_nothing(storage, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert storage.repair_jobs([]) == []
