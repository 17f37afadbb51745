"""What a worker of a backend of Django's Tasks framework does with a message."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from resto.executors.queue import MAX_RETRIES
from resto.executors.tasks import task, task_backends
from resto.workers.jobs import perform, received


__all__ = ["replicate"]

# Backends that cannot do a task later do it at once, which is of little use more often than this.
MAX_RETRIES_AT_ONCE = 2


def _somewhere() -> dict[str, Any]:
    """Return a backend and a queue that exist, since a task must have them; the executor chooses others."""
    backend = "default" if "default" in task_backends else next(iter(task_backends))
    queues = task_backends[backend].queues
    return {"backend": backend, "queue_name": "default" if "default" in queues or not queues else min(queues)}


@task(takes_context=True, **_somewhere())  # type: ignore[untyped-decorator]  # of two packages, that type it otherwise
def replicate(context: Any, *args: Any, retries: Any = 0, **message: Any) -> None:
    """Make hosts equal to the master copy; those that fail get tasks of their own.

    Args:
        context: Of the task.
        *args: None; a message that has some is refused.
        retries: How many there were before.
        **message: As in `resto.executors.queue.Message`.

    Raises:
        JobRefusedError: As for `resto.workers.perform`.
        ReplicationError: Hosts failed, and were tried often enough.
    """
    if not isinstance(retries, int) or retries < 0:
        message |= {"retries": retries}  # which is refused
    done = perform(received(args, message))
    if not done.again:
        return
    this = context.task_result.task
    can_wait = this.get_backend().supports_defer
    if retries >= (MAX_RETRIES if can_wait else MAX_RETRIES_AT_ONCE):
        raise done.error(message)
    for again in done.again:
        later = {"run_after": timezone.now() + timedelta(seconds=done.delay(again, retries))} if can_wait else {}
        this.using(**later).enqueue(retries=retries + 1, **again)
