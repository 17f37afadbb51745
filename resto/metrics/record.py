"""What the record says of a site, as metrics: read when somebody asks, so that it is true when nobody drains."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from resto.repair.overview import HostOverview, StorageOverview, master_problems, overview


__all__ = ["RecordCollector"]

_HOST = ("storage", "host")

# Name -> what it is about, and labels.
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "resto_record_up": ("Whether the record could be read.", ()),
    "resto_master_copy_up": ("Whether the directory proves to be the master copy.", ("storage",)),
    "resto_pending_names": ("Names that a host may have missed; no more than 10 000 are counted.", _HOST),
    "resto_pending_capped": ("Whether there are more than that.", _HOST),
    "resto_pending_compared_names": ("Of these, names that only a comparison has found to differ.", _HOST),
    "resto_under_way_names": ("Other names that somebody is dealing with.", _HOST),
    "resto_pending_oldest_timestamp_seconds": ("When the oldest change that is pending was made.", _HOST),
    "resto_pending_due_timestamp_seconds": ("When the next pending name may be sent, or could have been.", _HOST),
    "resto_open_breakers": ("Processes that stay and drain, and do not ask a host, as it does not answer.", _HOST),
    "resto_host_gone": ("Whether a host has lost its files, or is another one than it was.", _HOST),
    "resto_host_left_out": ("Whether nothing is read from a host until it is filled.", _HOST),
    "resto_last_drain_timestamp_seconds": (
        "When whoever drains has given the last sign of life; 0 if nobody has.",
        _HOST,
    ),
    "resto_watching_processes": ("Processes that stay and drain, and give signs of life.", ("storage",)),
    "resto_last_comparison_timestamp_seconds": (
        "When the last comparison that succeeded has ended; 0 if there was none.",
        ("storage",),
    ),
    "resto_last_comparison_exit_code": (
        "That of the last comparison that is over; 137 if it was killed.",
        ("storage",),
    ),
}


class RecordCollector(Collector):
    """For a registry of ``prometheus_client``; it is in none unless somebody registers it."""

    def describe(self) -> Iterable[Metric]:
        """Return what there can be, without a look at the record: registries ask for it while a site starts."""
        return _empty().values()

    def collect(self) -> Iterable[Metric]:
        """Return what there is; only that it cannot be read, if it cannot."""
        families = _empty()
        try:
            storages = overview()
        except Exception:  # noqa: BLE001 - whatever a database or its driver raises: that is what is to be shown
            storages, is_up = [], False
        else:
            is_up = True
        families["resto_record_up"].add_metric([], is_up)
        for alias, problem in master_problems().items():
            families["resto_master_copy_up"].add_metric([alias], not problem)
        for storage in storages:
            for name, labels, value in _samples(storage):
                families[name].add_metric(labels, value)
        return families.values()


def _empty() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _FAMILIES.items()}


def _samples(storage: StorageOverview) -> Iterator[tuple[str, list[str], Any]]:
    alias = storage.storage
    yield "resto_watching_processes", [alias], storage.watching
    yield "resto_last_comparison_timestamp_seconds", [alias], storage.compared or 0
    if storage.code_of_comparison is not None:
        yield "resto_last_comparison_exit_code", [alias], storage.code_of_comparison
    for host in storage.hosts:
        for name, value in _values(host).items():
            if value is not None:
                yield name, [alias, host.host], value


def _values(host: HostOverview) -> dict[str, float | None]:
    return {
        "resto_pending_names": host.pending,
        "resto_pending_capped": host.has_more,
        "resto_pending_compared_names": host.compared,
        "resto_under_way_names": host.under_way,
        "resto_pending_oldest_timestamp_seconds": host.oldest,
        "resto_pending_due_timestamp_seconds": host.due,
        "resto_open_breakers": host.open_breakers,
        "resto_host_gone": host.is_gone,
        "resto_host_left_out": host.is_left_out,
        "resto_last_drain_timestamp_seconds": host.drained or 0,
    }
