"""What a worker of rq does with a message, and a worker that does it faster."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import django
from django.apps import apps


# The plain worker knows nothing of Django, and imports this module for each job.
if not apps.ready:
    django.setup()

from redis.client import Pipeline
from rq import Queue, Worker, get_current_job
from rq.job import Job, JobStatus
from rq.scheduler import RQScheduler

from resto.exceptions import JobRefusedError
from resto.storage import AsyncStorage
from resto.storage.finding import replicated_storages
from resto.workers.jobs import Done, perform, received
from resto.workers.scheduled import drain_all, sync_all


__all__ = ["DjangoWorker", "drain", "replicate", "sync"]

logger = logging.getLogger("resto")


def replicate(*args: Any, **message: Any) -> None:
    """Make hosts equal to the master copy; those that fail get a job of their own, as long as there are retries left.

    Args:
        *args: None; a message that has some is refused.
        **message: As in `resto.executors.queue.Message`.

    Raises:
        JobRefusedError: As for `resto.workers.perform`.
        ReplicationError: Hosts failed, and there are no retries left.
    """
    job = get_current_job()
    try:
        done = perform(received(args, message))
    except JobRefusedError:
        if job is not None:
            job.retries_left = 0
        raise
    if not done.again:
        return
    if job is not None and job.should_retry:
        # As a job of its own even if it is the only one: its record is another one by now.
        _retry_alone(job, done)
        return
    raise done.error(message)


def _retry_alone(job: Job, done: Done) -> None:
    rests = [done.rest(message) for message in done.again]
    if any(rests) or job.get_retry_interval():
        _warn_without_scheduler(job)
    queue = Queue(job.origin, connection=job.connection, job_class=type(job), serializer=job.serializer)
    with job.connection.pipeline() as pipeline:
        for message, rest in zip(done.again, rests, strict=True):
            again = queue.create_job(
                f"{__name__}.{replicate.__name__}",
                kwargs=dict(message),
                timeout=job.timeout,  # type: ignore[arg-type]  # it was an integer when it was given
                result_ttl=job.result_ttl,
                failure_ttl=job.failure_ttl,
                description=job.description,
            )
            again.retries_left, again.retry_intervals = job.retries_left, job.retry_intervals
            again.enqueue_at_front_on_retry = job.enqueue_at_front_on_retry
            _retry(again, queue, pipeline, rest)
        pipeline.execute()


def _retry(job: Job, queue: Queue, pipeline: Pipeline, rest: float) -> None:
    """Do as rq does, but no sooner than a host wants to be asked again."""
    if rest <= job.get_retry_interval():
        job.retry(queue, pipeline)
        return
    job.retries_left = (job.retries_left or 1) - 1
    job.set_status(JobStatus.SCHEDULED, pipeline=pipeline)
    queue.schedule_job(job, datetime.now(UTC) + timedelta(seconds=rest), pipeline=pipeline)


def _warn_without_scheduler(job: Job) -> None:
    """Say so if the retry of a job would wait for ever: rq needs a scheduler to do something later."""
    if not job.connection.exists(RQScheduler.get_locking_key(job.origin)):
        logger.warning(
            "The retry waits for a scheduler of the queue %s. Start a worker with one: rq worker --with-scheduler",
            job.origin,
        )


def drain() -> dict[str, int]:
    """Replicate what is due; see `resto.workers.scheduled.drain_all`."""
    return drain_all()


def sync() -> dict[str, bool]:
    """Compare everything with all hosts; see `resto.workers.scheduled.sync_all`."""
    return sync_all()


class DjangoWorker(Worker):
    """rq's worker, which loads Django and the site's storages once, before it forks for each job.

    It does several times as many jobs as rq's own, which loads them again for each. Start it with
    ``rq worker --worker-class resto.workers.rq.DjangoWorker``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for storage in replicated_storages().values():  # not others, which may be of no use to a worker
            if isinstance(storage, AsyncStorage):
                for host in storage.hosts:
                    storage.transport_for(host)  # loads what an upload needs
        super().__init__(*args, **kwargs)
