"""Executors decide where and when actions run. They know nothing of protocols."""

from resto.executors.base import Executor, Job
from resto.hookspecs import hookimpl


__all__ = ["Executor", "Job", "resto_register_executors"]


@hookimpl
def resto_register_executors() -> dict[str, str]:
    """Offer the bundled executors."""
    return {
        "inline": "resto.executors.inline.InlineExecutor",
        "thread": "resto.executors.thread.ThreadExecutor",
    }
