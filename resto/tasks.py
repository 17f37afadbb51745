"""The Celery tasks, where Celery's ``autodiscover_tasks`` looks for it.

Other task queues look for modules of this name too, so that it must not fail without Celery.
"""

from importlib.util import find_spec
from typing import Any

from django.db import DatabaseError

from resto.exceptions import ConfigurationError, JobRefusedError, ReplicationError
from resto.executors.queue import MAX_RETRIES, retry_delay
from resto.storage.finding import replicated_storages
from resto.workers.jobs import perform, received
from resto.workers.scheduled import drain_all, sync_all


__all__: list[str] = []

if find_spec("celery"):
    from celery import Task, shared_task, uuid
    from celery.exceptions import Reject

    from resto.executors.celery import CeleryExecutor

    __all__ += ["drain", "replicate", "sync"]

    # Seconds after which a drain that nobody has begun is of no use: there are others by then.
    DRAIN_EXPIRES = 600

    @shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
        name="resto.replicate",
        bind=True,
        # A worker that dies has not done its work.
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        serializer="json",
        # They are logged by then.
        throws=(JobRefusedError, ReplicationError),
    )
    def replicate(self: Task, *args: Any, **message: Any) -> None:
        """Make hosts equal to the master copy; those that fail get tasks of their own.

        Args:
            self: The task.
            *args: None; a message that has some is refused.
            **message: As in `resto.executors.queue.Message`.

        Raises:
            JobRefusedError: As for `resto.workers.perform`.
            ReplicationError: Hosts failed, and were tried often enough.
        """
        try:
            done = perform(received(args, message))
        except DatabaseError as error:
            # Nothing was sent without a record.
            raise self.retry(exc=error, countdown=retry_delay(self.request.retries), max_retries=MAX_RETRIES) from error
        if not done.again:
            return
        retries = self.request.retries
        if self.request.is_eager:
            return  # an error would reach the caller of the save, who does not wait for hosts
        if retries >= MAX_RETRIES:
            raise done.error(message)
        try:
            for again in done.again:
                # With an id of its own: Celery may skip one that has been done. And it has been begun, so it does not expire.
                options = {"task_id": uuid(), "expires": None, "countdown": done.delay(again, retries)}
                self.signature_from_request(args=(), kwargs=dict(again), retries=retries + 1, **options).apply_async()
        except Exception as error:
            # The broker is down. It still has this task, and hands it out again.
            raise Reject(error, requeue=True) from error

    class Scheduled(Task):  # type: ignore[misc]  # Celery has no types
        """A task of a schedule. It goes where the workers take the tasks of storages from, unless the schedule says otherwise."""

        ignore_result = True
        # Else Redis hands out again what takes longer than an hour.
        acks_late = False
        throws = (ConfigurationError, DatabaseError)

        @property
        def queue(self) -> str | None:
            """The queue of the first storage whose executor is Celery's; None if it has no queue of its own."""
            executors = [storage.executor for storage in replicated_storages().values()]
            return next((executor.queue for executor in executors if isinstance(executor, CeleryExecutor)), None)

    @shared_task(name="resto.drain", base=Scheduled, expires=DRAIN_EXPIRES)  # type: ignore[untyped-decorator]  # as above
    def drain() -> None:
        """Replicate what is due; see `resto.workers.scheduled.drain_all`."""
        drain_all()

    @shared_task(name="resto.sync", base=Scheduled)  # type: ignore[untyped-decorator]  # as above
    def sync() -> None:
        """Compare everything with all hosts; see `resto.workers.scheduled.sync_all`."""
        sync_all()
