"""What those executors have in common that hand jobs to the workers of a task queue."""

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import NoReturn, TypedDict

from resto.exceptions import TransportError
from resto.executors.base import Executor, Job, RemoteCall
from resto.hosts import parse_timeout
from resto.settings import get_setting


__all__ = ["LONGEST_DELAY", "MAX_RETRIES", "Message", "QueueExecutor", "broker_timeout", "retry_delay"]

# With the delays below, retries go on for three and a half hours.
MAX_RETRIES = 30

LONGEST_DELAY = 600  # seconds; Celery on Redis hands out again what a worker holds for an hour


class Message(TypedDict):
    """What travels through a queue: names only, that every worker looks up in its own settings.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        action: Name of the storage's method.
        hosts: The hosts as they stand in the settings.
        name: The file's name.
        record: What the rows of the durable record say of their owner; empty if there are none.
    """

    storage: str
    action: str
    hosts: list[str]
    name: str
    record: str


class QueueExecutor(Executor):
    """Hands jobs to a task queue, whose workers do them at some time, in any order, perhaps more than once.

    All hosts of one action travel in one message, which costs a third of one message for each. A queue that fails makes
    the jobs fail: they are reported, and the caller goes on.

    A subclass says in `enqueue` how a message is sent. What the worker does with it is
    ``resto.workers.perform(message)``.
    """

    supports_run = False
    needs_alias = True

    def run(self, jobs: Sequence[Job]) -> NoReturn:
        """Raise: nobody can wait for a worker.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot wait for outcomes")

    def submit(self, jobs: Sequence[Job]) -> None:
        groups: dict[tuple[RemoteCall, str], list[Job]] = {}
        for job in jobs:
            if job.remote is None:
                job.fail(_refused(job, f"{job.action} cannot be handed to a task queue"))
            else:
                groups.setdefault((job.remote, job.name), []).append(job)
        for (call, name), group in groups.items():
            hosts = [job.host for job in group]
            message = Message(storage=call.storage, action=call.action, hosts=hosts, name=name, record=call.record)
            try:
                self.enqueue(message)
            except Exception as error:  # noqa: BLE001 - a broker and its client fail in ways of their own
                for job in group:
                    problem = f"the task queue did not take it: {type(error).__name__}: {error}"
                    job.fail(_refused(job, problem))

    @abstractmethod
    def enqueue(self, message: Message) -> None:
        """Give a message to the queue, and return within about ``RESTO_TIMEOUT`` seconds.

        Args:
            message: To be sent as it is; it can be written as JSON.

        Raises:
            Exception: Of any kind: the queue did not take it.
        """


def broker_timeout() -> float:
    """Return how many seconds to wait for a queue: as long as for a host."""
    return parse_timeout(get_setting("TIMEOUT"))


def retry_delay(retries: int) -> float:
    """Return how many seconds to wait before the next try: twice as long each time, up to ten minutes, with jitter.

    Args:
        retries: How many there were before.
    """
    # Jitter, so that the jobs of an outage do not all come back at the same moment.
    return min(2.0 ** min(retries, 10), LONGEST_DELAY) * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret


def _refused(job: Job, problem: str) -> TransportError:
    return TransportError(job.host, job.name, job.action, problem)
