"""The task of Huey, where ``manage.py run_huey`` looks for it."""

from huey.contrib.djhuey import db_task

from resto.executors.queue import MAX_RETRIES, Message
from resto.workers import perform


__all__ = ["replicate"]


@db_task(name="resto_replicate")  # type: ignore[untyped-decorator]  # Huey has no types
def replicate(message: Message, tries: int = 0) -> None:
    """Make hosts equal to the master copy; those that fail get tasks of their own, later.

    Args:
        message: What was asked for.
        tries: How often it was tried before.

    Raises:
        JobRefusedError: As for `resto.workers.perform`.
        ReplicationError: Hosts failed, and were tried often enough.
    """
    done = perform(message)
    if done.again and tries >= MAX_RETRIES:
        raise done.error(message)
    for again in done.again:
        replicate.schedule((again, tries + 1), delay=done.delay(again, tries))
