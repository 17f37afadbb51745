"""The executor that hands jobs to a backend of Django's Tasks framework."""

from contextlib import nullcontext
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.module_loading import import_string

from resto.exceptions import ConfigurationError
from resto.executors.queue import Message, QueueExecutor


try:
    from django.tasks import task, task_backends
    from django.tasks.exceptions import TaskException
except ModuleNotFoundError:  # Django 5.2, for which there is a package with the same
    from django_tasks import task, task_backends  # type: ignore[no-redef, assignment]  # the same in another package
    from django_tasks.exceptions import TaskException  # type: ignore[assignment]  # the same in another package


__all__ = ["TasksExecutor", "task", "task_backends"]

# By name, as it is above this floor: a worker imports it.
_TASK = "resto.workers.django_tasks.replicate"


class TasksExecutor(QueueExecutor):
    """Hands jobs to a backend of Django's Tasks framework, whichever that is.

    A backend that keeps its queue in the database takes a job back when the caller's transaction is rolled back. How long
    it waits for its queue is its own affair.

    Args:
        queue: Name of the queue; by default, the backend's.
        backend: Alias of the backend in ``TASKS``; by default, ``"default"``.
        priority: From -100 to 100, where the backend has priorities.
    """

    def __init__(self, *, queue: str | None = None, backend: str | None = None, priority: int | None = None) -> None:
        try:
            changes: dict[str, Any] = {"queue_name": queue or _default_queue(backend), "backend": backend}
            changes["priority"] = priority
            self._task = import_string(_TASK).using(**changes)
        except (ImproperlyConfigured, StopIteration, TaskException, TypeError) as error:
            hint = "Compare 'queue', 'backend' and 'priority' with the setting TASKS."
            raise ConfigurationError(f"wrong options of the executor 'tasks': {error}", hint, "E007") from error

    def enqueue(self, message: Message) -> None:
        # Within a transaction, a backend that keeps its queue in the database must not break it when it fails.
        in_transaction = transaction.get_connection().in_atomic_block
        with transaction.atomic() if in_transaction else nullcontext():
            self._task.enqueue(**message)


def _default_queue(backend: str | None) -> str | None:
    """Return a queue that a backend has, if it does not have the one that is called "default"."""
    queues = task_backends[backend].queues if backend else set()
    return None if not queues or "default" in queues else min(queues)
