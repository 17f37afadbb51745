"""What the record says, as metrics."""

import json
import time

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from prometheus_client import CollectorRegistry

from kit.hosts import lagging_storage
from resto.metrics.record import RecordCollector
from resto.models import Run
from resto.record import identities, leases
from resto.repair import overview


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_overview")]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def storage(settings, media_root, servers):
    return lagging_storage(settings, servers)


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    registry.register(RecordCollector())
    return registry


def values_of(registry, name):
    """The values that a metric has, by the last one of its labels."""
    overview.forget()
    (family,) = [family for family in registry.collect() if family.name == name]
    return {next(reversed(sample.labels.values()), ""): sample.value for sample in family.samples}


def test_registering_does_not_read_the_record(django_assert_num_queries, registry):
    """Which a site may do before its database is there."""
    with django_assert_num_queries(0):
        CollectorRegistry(auto_describe=True).register(RecordCollector())
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(RecordCollector())


def test_what_is_described_is_what_is_collected(storage):
    described = [(family.name, family.type, family.documentation) for family in RecordCollector().describe()]
    assert described == [(family.name, family.type, family.documentation) for family in RecordCollector().collect()]
    assert all(not family.samples for family in RecordCollector().describe())


def test_site_that_nobody_has_looked_after(storage, servers, registry):
    """Times are there, so that it can be told that they are long ago."""
    never = dict.fromkeys([server.url for server in servers], 0)
    assert values_of(registry, "resto_record_up") == {"": 1}
    assert values_of(registry, "resto_pending_names") == never
    assert values_of(registry, "resto_last_drain_timestamp_seconds") == never
    assert values_of(registry, "resto_last_comparison_timestamp_seconds") == {"default": 0}
    assert values_of(registry, "resto_last_comparison_exit_code") == {}
    assert values_of(registry, "resto_pending_oldest_timestamp_seconds") == {}
    assert values_of(registry, "resto_pending_due_timestamp_seconds") == {}


def test_host_that_lags(storage, servers, registry):
    """It is told although nobody drains, which it was about."""
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    storage.open_lease("b", (servers[0].url,), present=True)
    first, second = (server.url for server in servers)
    assert values_of(registry, "resto_pending_names") == {first: 0, second: 1}
    assert values_of(registry, "resto_pending_capped") == {first: 0, second: 0}
    assert values_of(registry, "resto_under_way_names") == {first: 1, second: 0}
    (oldest,) = values_of(registry, "resto_pending_oldest_timestamp_seconds").items()
    (due,) = values_of(registry, "resto_pending_due_timestamp_seconds").items()
    assert oldest == (second, pytest.approx(leases.clock(), abs=60))
    assert due[0] == second
    assert oldest[1] < due[1]


def test_host_that_leaves_the_settings_vanishes(storage, settings, servers, registry):
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    assert values_of(registry, "resto_pending_names") == {servers[0].url: 0}


def test_hosts_that_have_lost_their_files(storage, servers, registry):
    first, second = (server.url for server in servers)
    identities.put("default", first, "1" * 32, state=identities.GONE)
    identities.put("default", second, "2" * 32, state=identities.NEW)
    assert values_of(registry, "resto_host_gone") == {first: 1, second: 0}
    assert values_of(registry, "resto_host_left_out") == {first: 0, second: 1}


def test_last_drain_and_comparison(storage, servers, registry):
    times = {"asked": 5.0, "started": 10.0, "seen": 20.0, "ended": 20.0, "code": 0}
    Run.objects.create(kind="watch", storage="", **times | {"ended": None, "code": None})
    Run.objects.create(kind="sync", storage="default", **times | {"ended": 15.0})
    Run.objects.create(kind="sync", storage="default", **times | {"code": 1})
    assert set(values_of(registry, "resto_last_drain_timestamp_seconds").values()) == {20}
    assert values_of(registry, "resto_last_comparison_timestamp_seconds") == {"default": 15}
    assert values_of(registry, "resto_last_comparison_exit_code") == {"default": 1}


def test_processes_that_stay(storage, servers, registry):
    first, second = (server.url for server in servers)
    now, report = time.time(), {"breakers": [{"storage": "default", "host": second, "state": "open", "failures": 3}]}
    Run.objects.create(kind="watch", asked=now, started=now, seen=now, report=json.dumps(report))
    assert values_of(registry, "resto_watching_processes") == {"default": 1}
    assert values_of(registry, "resto_open_breakers") == {first: 0, second: 1}


@pytest.mark.usefixtures("identities_apply")
def test_master_copy(storage, media_root, registry):
    storage.save("a", ContentFile(b"1"))
    assert values_of(registry, "resto_master_copy_up") == {"default": 1}
    media_root.rename(media_root.with_name("elsewhere"))
    assert values_of(registry, "resto_master_copy_up") == {"default": 0}


def test_record_that_cannot_be_read(storage, registry):
    """That is what there is to tell; nothing is raised."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE resto_pending RENAME TO resto_away")
    try:
        assert values_of(registry, "resto_record_up") == {"": 0}
        assert values_of(registry, "resto_pending_names") == {}
        assert values_of(registry, "resto_last_drain_timestamp_seconds") == {}
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE resto_away RENAME TO resto_pending")
    assert values_of(registry, "resto_record_up") == {"": 1}
