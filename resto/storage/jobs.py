"""Jobs of storages: what an executor is given, with the breaker of the host and the lease of whoever asks for it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from resto.courses import Course, course_of, finish, has_course
from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Executor, Job
from resto.health import Breaker, find_breaker
from resto.outcomes import Outcome
from resto.record.changes import call_holding, course_holding, current_lease, is_decided
from resto.storage.reporting import described


__all__ = ["action_of", "failed_by_executor", "guarded_job", "leased_job", "run_jobs"]

T = TypeVar("T")

# What an action is called in messages, where its method has another name.
_ACTIONS = {"_exists": "exists", "update": "upload", "remove": "delete", "withdraw": "delete"}


def action_of(func: Callable[..., Any]) -> str:
    """Return what the action of a method is called in jobs and messages."""
    name: str = func.__name__
    return _ACTIONS.get(name, name)


def guarded_job(
    identified: str, action: str, func: Callable[..., Any], host: str, name: str, *args: Any, **kwargs: Any
) -> Job:
    """Return a job that asks the breaker of its host first.

    Args:
        identified: What all spellings of the host have in common.
        action: What is done, such as ``"upload"``.
        func: Called as ``func(host, name, *args, **kwargs)``.
        host: The host as it stands in the settings.
        name: The file's name.
        *args: Passed on.
        **kwargs: Passed on.
    """

    def course() -> "Course[Any]":  # quoted: it would be evaluated for each action
        return _guarded(find_breaker(identified), action, host, name, course_of(func, host, name, *args, **kwargs))

    return Job(action, host, name, lambda: finish(course()), course=course if has_course(func) else None)


def _guarded(breaker: Breaker, action: str, host: str, name: str, course: Course[T]) -> Course[T]:
    """Let a course happen only if the breaker of the host does, and tell the breaker how it went."""
    turn = breaker.admit(host, name, action)
    try:
        value = yield from course
    except HostUnavailableError as error:
        error.is_repeated = not breaker.failed(turn, error.problem)
        raise
    except TransportError:
        breaker.reached()  # that was an answer, if a bad one
        raise
    except BaseException:
        # A file of this machine that cannot be read, an interruption, or nothing was done: it tells nothing about the host.
        breaker.abandoned(turn)
        raise
    breaker.reached()
    return value


def leased_job(job: Job) -> Job:
    """Return a job so that it may write under the lease that is held now, or under none, wherever and whenever it runs."""
    if is_decided():
        lease = current_lease()
        job.call = partial(call_holding, lease, job.call)
        job.course = job.course and partial(course_holding, lease, job.course)
    return job


def run_jobs(executor: Executor, jobs: list[Job]) -> list[Outcome]:
    """Return one outcome for each job, also if the executor does not keep its promise."""
    try:
        outcomes: Any = executor.run(jobs)
    except Exception as error:  # noqa: BLE001 - an executor may be anybody's
        return failed_by_executor(executor, jobs, f"raised {described(error)}")
    if isinstance(outcomes, list) and len(outcomes) == len(jobs) and all(isinstance(one, Outcome) for one in outcomes):
        return outcomes
    return failed_by_executor(executor, jobs, "did not return a list with one outcome for each job")


def failed_by_executor(executor: Executor, jobs: Sequence[Job], what: str) -> list[Outcome]:
    """Return the outcomes of jobs of which nobody knows what has become, as the executor has failed.

    Args:
        executor: Which one.
        jobs: What it was given.
        what: What it has done, a sentence fragment.
    """
    problem = f"the executor {type(executor).__name__} {what}"
    return [job.fail(TransportError(job.host, job.name, job.action, problem)) for job in jobs]
