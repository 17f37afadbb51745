"""What a plugin may implement. ``resto.hookimpl`` marks an implementation; packages use the entry point group ``resto``."""

from collections.abc import Iterable, Mapping

from pluggy import HookimplMarker, HookspecMarker

from resto.outcomes import Outcome


__all__ = [
    "hookimpl",
    "hookspec",
    "resto_action_finished",
    "resto_host_pending",
    "resto_register_executors",
    "resto_register_transports",
    "resto_settings",
]

hookspec = HookspecMarker("resto")
hookimpl = HookimplMarker("resto")


@hookspec
def resto_register_transports() -> Mapping[str, str | type]:  # type: ignore[empty-body]  # a specification has no body
    """Offer transports.

    Returns:
        Name -> class, or the class's dotted path, which is imported only when a storage asks for the name.
    """


@hookspec
def resto_register_executors() -> Mapping[str, str | type]:  # type: ignore[empty-body]  # a specification has no body
    """Offer executors.

    Returns:
        Name -> class, or the class's dotted path, which is imported only when a storage asks for the name.
    """


@hookspec
def resto_settings() -> Iterable[str]:  # type: ignore[empty-body]  # as above
    """Name the settings that the plugin reads, if their names begin with ``RESTO_``.

    ``manage.py check`` warns of any other one, as it is not read by anybody: its name may be mistyped.

    Returns:
        Their full names.
    """


@hookspec
def resto_action_finished(outcome: Outcome) -> None:
    """Observe an action that has finished on one host, successfully or not.

    Called for all that storages, drains, comparisons and workers of task queues do, in the process that did it. Not for what
    is called directly, such as ``storage.upload(host, name)``.

    Called in whichever thread finished the action, which may still hold up other actions on the same file: it must not
    use a storage of resto itself. An exception raised here is logged and goes no further.

    Args:
        outcome: What happened.
    """


@hookspec
def resto_host_pending(storage: str, host: str, count: int, oldest: float | None, under_way: int) -> None:
    """Observe what one host may have missed, as the durable record has it.

    Called for each host, also for one that has missed nothing, by ``manage.py resto_drain`` after each look at the record,
    and by ``manage.py resto_status``. An exception raised here is logged and goes no further.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        count: How many names are pending; no more than 10 000 are counted.
        oldest: Seconds since the oldest change that is pending; None if none is.
        under_way: How many other names somebody is dealing with at this moment.
    """
