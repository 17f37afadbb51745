"""Executors decide where and when actions run: at once, in threads of this process, or by workers of a task queue.

They know nothing of protocols, nor of what an action is for. Begin with the contract in `base`, and then `lanes`, which keep
the order of jobs in this process, or `queue`, which hands them to other ones.
"""

from resto.executors.base import Executor, Job, RemoteCall
from resto.executors.lanes import Lanes, Task, process_lanes
from resto.hookspecs import hookimpl


__all__ = ["Executor", "Job", "Lanes", "RemoteCall", "Task", "process_lanes", "resto_register_executors"]


@hookimpl
def resto_register_executors() -> dict[str, str]:
    """Offer the bundled executors."""
    return {
        "celery": "resto.executors.celery.CeleryExecutor",
        "inline": "resto.executors.inline.InlineExecutor",
        "rq": "resto.executors.rq.RqExecutor",
        "tasks": "resto.executors.tasks.TasksExecutor",
        "thread": "resto.executors.thread.ThreadExecutor",
    }
