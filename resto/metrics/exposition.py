"""All metrics of resto, and none of others, as Prometheus wants them."""

import os
from collections.abc import Iterable, Iterator

from django.apps import apps
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from resto.metrics.record import RecordCollector


__all__ = ["encoded"]

_RECORD = RecordCollector()


def encoded(accept: str) -> tuple[bytes, str]:
    """Return the metrics, and their content type.

    Args:
        accept: As for `resto.metrics.exposed`.
    """
    registry = CollectorRegistry()
    registry.register(_RECORD)
    if apps.is_installed("resto.metrics"):
        from resto.metrics.actions import FAILURES, SECONDS, SENT  # which makes them known to others

        counted = (FAILURES, SECONDS, SENT)
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry.register(_OfAllProcesses(counted))
        else:
            for one in counted:
                registry.register(one)
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


class _OfAllProcesses(Collector):
    """What all processes of a machine have counted, in the files that they share with other libraries."""

    def __init__(self, counted: Iterable[Collector]) -> None:
        self._described = [metric for one in counted for metric in one.describe()]  # type: ignore[attr-defined]  # each has it

    def describe(self) -> Iterable[Metric]:
        return self._described

    def collect(self) -> Iterator[Metric]:
        names = {metric.name for metric in self._described}
        for metric in MultiProcessCollector(None).collect():  # type: ignore[no-untyped-call]
            if metric.name in names:
                yield metric
