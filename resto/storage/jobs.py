"""Jobs of storages: what an executor is given, with the breaker of the host and the lease of whoever asks for it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from resto.courses import Course, finish, has_course, maker_of
from resto.exceptions import HostUnavailableError, TransportError
from resto.executors import Executor, Job
from resto.health import Breaker, find_breaker
from resto.outcomes import Outcome
from resto.record.changes import call_holding, course_holding, current_lease, is_decided
from resto.record.leases import Lease
from resto.storage.reporting import described


__all__ = [
    "action_of",
    "failed_by_executor",
    "guarded_job",
    "guarded_jobs",
    "leased_job",
    "run_jobs",
]

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
    make = partial(_guarded_course, {host: identified}, action, maker_of(func), name, args, kwargs)
    [job] = _jobs_of(make, action, (host,), name, is_course=has_course(func))
    return job


def guarded_jobs(
    identities: Mapping[str, str],
    action: str,
    func: Callable[..., Any],
    hosts: Sequence[str],
    name: str,
    *args: Any,
    **kwargs: Any,
) -> list[Job]:
    """Return the jobs of one action on several hosts, each of which asks the breaker of its host first.

    They may write under the lease that is held now, or under none, wherever and whenever they run.

    Args:
        identities: Hosts -> what all spellings of each have in common.
        action: As for `guarded_job`, like the others.
        func: The same.
        hosts: The hosts as they stand in the settings.
        name: The same.
        *args: The same.
        **kwargs: The same.
    """
    course = partial(_guarded_course, identities, action, maker_of(func), name, args, kwargs)
    if is_decided():
        course = partial(_held_course, current_lease(), course)
    return _jobs_of(course, action, hosts, name, is_course=has_course(func))


def _jobs_of(
    course: Callable[[str], Course[Any]], action: str, hosts: Sequence[str], name: str, *, is_course: bool
) -> list[Job]:
    if is_course:
        return [
            Job(action, host, name, partial(_finished, course, host), None, partial(course, host)) for host in hosts
        ]
    return [Job(action, host, name, partial(_finished, course, host)) for host in hosts]


def _finished(course: Callable[[str], Course[T]], host: str) -> T:
    return finish(course(host))


def _held_course(lease: Lease | None, course: Callable[[str], Course[T]], host: str) -> Course[T]:
    return course_holding(lease, partial(course, host))


def _guarded_course(
    identities: Mapping[str, str],
    action: str,
    make: Callable[..., Course[T]],
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    host: str,
) -> Course[T]:
    return _guarded(find_breaker(identities.get(host, host)), action, host, name, make(host, name, *args, **kwargs))


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
