"""What a plugin may implement. ``resto.hookimpl`` marks an implementation; packages use the entry point group ``resto``."""

from collections.abc import Mapping

from pluggy import HookimplMarker, HookspecMarker

from resto.outcomes import Outcome


__all__ = ["hookimpl", "hookspec", "resto_action_finished", "resto_register_executors", "resto_register_transports"]

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
def resto_action_finished(outcome: Outcome) -> None:
    """Observe an action that has finished on one host, successfully or not.

    Called in whichever thread finished the action, which may still hold up other actions on the same file: it must not
    use a storage of resto itself. An exception raised here is logged and goes no further.

    Args:
        outcome: What happened.
    """
