"""The executor that runs everything in the calling thread."""

from collections.abc import Sequence

from resto.executors.base import Executor, Job
from resto.executors.lanes import process_lanes
from resto.outcomes import Outcome


__all__ = ["InlineExecutor"]


class InlineExecutor(Executor):
    """Runs jobs in the calling thread, one after another; `submit` returns when they are done."""

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        return process_lanes().run(jobs)

    def submit(self, jobs: Sequence[Job]) -> None:
        self.run(jobs)
