"""The executor that hands jobs to Celery."""

import os
import weakref
from collections.abc import Mapping
from typing import Any

from celery import current_app
from django.utils.module_loading import import_string
from kombu.pools import ProducerPool

from resto.exceptions import ConfigurationError
from resto.executors.queue import Message, QueueExecutor, broker_timeout


__all__ = ["CeleryExecutor"]

# By name, as it is above this floor: a worker discovers it.
_TASK = "resto.tasks.replicate"

# A pooled connection may have died of a restart of the broker; a fresh one gets one try.
_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_MAX_CONNECTIONS = 10  # as many as Celery's own pool has


class CeleryExecutor(QueueExecutor):
    """Hands jobs to the workers of the site's Celery app.

    Args:
        queue: Name of the queue; by default, wherever the app routes the task ``resto.replicate``.
        priority: As for Celery's ``apply_async``; what it means depends on the broker.
        expires: Seconds after which a job that nobody has begun is dropped.

    Attributes:
        queue: As given.
    """

    def __init__(self, *, queue: str | None = None, priority: int | None = None, expires: float | None = None) -> None:
        options: dict[str, Any] = {"queue": queue, "priority": priority, "expires": expires}
        _check_types(options)
        self.queue = queue
        self._options = {name: value for name, value in options.items() if value is not None}
        self._producers: tuple[int, ProducerPool] | None = None
        _require_app()

    def enqueue(self, message: Message) -> None:
        timeout = broker_timeout()
        with self._open_producers().acquire(block=True, timeout=timeout) as producer:  # type: ignore[no-untyped-call]  # kombu
            import_string(_TASK).apply_async(
                kwargs=dict(message), producer=producer, retry=True, retry_policy=_RETRY_POLICY, **self._options
            )

    def _open_producers(self) -> ProducerPool:
        """Return producers whose connections let nobody wait longer than for a host.

        Those of the app wait for ever for a broker that does not answer.
        """
        process = os.getpid()
        if self._producers is None or self._producers[0] != process:  # connections are not shared with a forked child
            connection = current_app.connection_for_write(
                connect_timeout=broker_timeout(), transport_options=_transport_options()
            )
            pool = ProducerPool(connections=connection.Pool(_MAX_CONNECTIONS), limit=_MAX_CONNECTIONS)  # type: ignore[no-untyped-call]  # kombu
            self._producers = process, pool
            weakref.finalize(self, _close, process, pool)
        return self._producers[1]


def _close(process: int, pool: ProducerPool) -> None:
    if os.getpid() != process:  # a forked child would say goodbye in the name of its parent
        return
    pool.force_close_all()  # type: ignore[no-untyped-call]  # kombu
    pool.connections.force_close_all()


def _transport_options() -> dict[str, Any]:
    timeout = broker_timeout()
    return {
        "max_retries": 0,
        # Redis
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        # AMQP: what a broker does not confirm may be lost with the connection.
        "read_timeout": timeout,
        "write_timeout": timeout,
        "confirm_publish": True,
    }


def _check_types(options: Mapping[str, Any]) -> None:
    types = {"queue": str, "priority": int, "expires": int | float}
    for name, value in options.items():
        if value is not None and not isinstance(value, types[name]):
            hint = "Give 'queue' as a text, 'priority' as a number, and 'expires' in seconds."
            raise ConfigurationError(f"wrong executor option {name!r}: {value!r}", hint, "E007")


def _require_app() -> None:
    """Raise if there is only the app that Celery makes up where it finds none."""
    if current_app.main == "default" and not current_app.set_as_current:
        raise ConfigurationError(
            "the executor 'celery' found no Celery app",
            "Import the site's app in the package of its settings: from .celery import app.",
            "E007",
        )
