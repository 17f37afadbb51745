"""The executor that hands jobs to rq."""

import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry
from rq import Queue, Retry
from rq.exceptions import TimeoutFormatError
from rq.utils import parse_timeout as parse_job_timeout

from resto.exceptions import ConfigurationError
from resto.executors.queue import MAX_RETRIES, Message, QueueExecutor, broker_timeout, retry_delay
from resto.sensitive import sensitive_variables
from resto.settings import get_credential, rq_queues


__all__ = ["RqExecutor"]

# By name, as it is above this floor: a worker imports it.
_FUNCTION = "resto.workers.rq.replicate"

_HINT = "Give 'url', 'connection', or the name of a queue of django-rq as 'queue'."
_URL_HINT = "Write 'redis://localhost:6379/0'; put a URL with a password into RESTO_SECRETS, and give its name."


class RqExecutor(QueueExecutor):
    """Hands jobs to a queue of rq.

    Args:
        queue: Name of the queue.
        url: Of Redis, such as ``"redis://localhost:6379/0"``; or the name of a credential that is such a URL.
        connection: A ``redis.Redis``, in place of ``url``. With neither, the queue is that of django-rq.
        retry: An ``rq.Retry``, or its arguments as a mapping ``{"max": ..., "interval": ...}``, or its ``max`` alone;
            0 for no retries. By default, 30 retries over three and a half hours. Intervals need a worker with a scheduler.
        timeout: How long a worker may take for a job, as rq has it: seconds, or ``"1h"``; -1 for as long as it takes.
        priority: Whether jobs go to the front of the queue.
    """

    @sensitive_variables()
    def __init__(
        self,
        *,
        queue: str = "default",
        url: str | None = None,
        connection: "Redis | None" = None,
        retry: Retry | Mapping[str, Any] | int | None = None,
        timeout: int | str | None = None,
        priority: bool = False,
    ) -> None:
        self._retry = _parse_retry(retry)
        self._timeout = _parse_job_timeout(timeout)
        self._priority = priority
        if not isinstance(priority, bool):
            raise ConfigurationError(f"wrong executor option 'priority': {priority!r}", "Give True or False.", "E007")
        self.has_literal_credentials = isinstance(url, str) and _has_password(url)
        self._queue = _open_queue(queue, url, connection)
        weakref.finalize(self, self._queue.connection.connection_pool.disconnect)
        # django-rq would wait for the end of a transaction. What was saved stays saved, however that ends.
        self._enqueue_call = getattr(self._queue, "original_enqueue_call", self._queue.enqueue_call)

    def enqueue(self, message: Message) -> None:
        with self._queue.connection.pipeline() as pipeline:
            self._enqueue_call(
                _FUNCTION,
                kwargs=dict(message),
                retry=self._retry,
                timeout=self._timeout,
                at_front=self._priority,
                description=f"{message['action']} {message['name']!r}",
                pipeline=pipeline,  # one trip to Redis in place of two
            )
            pipeline.execute()


def _parse_retry(retry: Retry | Mapping[str, Any] | int | None) -> Retry | None:
    if isinstance(retry, Retry):
        return retry
    if retry is None:
        retry = {"max": MAX_RETRIES, "interval": [round(retry_delay(retries)) for retries in range(MAX_RETRIES)]}
    if not isinstance(retry, Mapping):
        retry = {"max": retry}
    if retry == {"max": 0}:
        return None
    try:
        return Retry(**retry)
    except (TypeError, ValueError) as error:
        hint = 'Give {"max": 5, "interval": 60}, as for rq.Retry, or 0 for no retries.'
        raise ConfigurationError(f"wrong executor option 'retry': {error}", hint, "E007") from error


def _parse_job_timeout(timeout: int | str | None) -> int | None:
    try:
        return parse_job_timeout(timeout)
    except (TypeError, TimeoutFormatError, AssertionError) as error:
        hint = "Give seconds, a text such as '1h', or -1 for as long as it takes."
        raise ConfigurationError("wrong executor option 'timeout'", hint, "E007") from error


def _open_queue(name: Any, url: Any, connection: "Redis | None") -> Queue:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"wrong executor option 'queue': {name!r}", "Give the name of a queue.", "E007")
    if connection is not None and not isinstance(connection, Redis):
        raise ConfigurationError("the executor option 'connection' is not a redis.Redis", _HINT, "E007")
    if url is not None and connection is not None:
        raise ConfigurationError("the executor 'rq' takes 'url' or 'connection', not both", _HINT, "E007")
    if url is not None:
        connection = _connect(url)
    if connection is not None:
        return Queue(name, connection=_impatient(connection))
    configured = rq_queues()
    if name not in configured:
        known = f"; django-rq has {', '.join(sorted(configured))}" if configured else ""
        raise ConfigurationError(f"the executor 'rq' does not know the Redis of queue {name!r}{known}", _HINT, "E007")
    from django_rq import get_queue  # installed where it is configured

    queue = get_queue(name)
    queue.connection = _impatient(queue.connection)
    return queue


@sensitive_variables()
def _connect(url: Any) -> Redis:
    if isinstance(url, str) and "://" not in url:
        if ":" in url or "/" in url:
            # Without what was given, as below.
            raise ConfigurationError("the executor option 'url' has no scheme", _URL_HINT, "E007")
        url = get_credential(url, option="url", code="E007")
    try:
        return Redis.from_url(url)
    except (AttributeError, TypeError, ValueError) as error:
        # Without the URL, which may hold a password.
        problem = f"the executor option 'url' is not the URL of a Redis ({type(error).__name__})"
        raise ConfigurationError(problem, _URL_HINT, "E007") from None


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        return "@" in url  # and it is refused soon


def _impatient(connection: Redis) -> Redis:
    """Return a connection to the same Redis that lets nobody wait longer than for a host.

    Left alone, one that does not answer is waited for until the system gives up, and asked again.
    """
    pool = connection.connection_pool
    if type(pool) is not ConnectionPool:  # such as Sentinel's, which has ways of its own to find a Redis
        return connection
    timeout = broker_timeout()
    options = pool.connection_kwargs | {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": RedisRetry(NoBackoff(), 0),
    }
    # The pool's own class of connections: TCP, TLS, or a socket of the file system.
    return type(connection)(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))
