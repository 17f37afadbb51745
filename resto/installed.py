"""Tells what installed packages offer: transports, executors and observers, usable or not.

Nothing is used here, but all of it is loaded and imported. Whoever wants to use one asks `resto.plugins`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from resto.exceptions import ConfigurationError
from resto.offers import EXECUTOR, TRANSPORT, Offer, clash, dotted_path, missing_package
from resto.plugins import PluginManager


__all__ = ["Installed", "conflicts", "installed_plugins"]

_KINDS = (TRANSPORT, EXECUTOR)

_OBSERVING_HOOKS = ("resto_action_finished", "resto_host_pending")


@dataclass(frozen=True, slots=True)
class Installed:
    """Something that an installed package offers to resto.

    Attributes:
        kind: ``"transport"``, ``"executor"`` or ``"observer"``; or ``"plugin"``, for one that failed to load.
        name: What settings call it; of an observer, its hook; of a plugin, what its entry point names.
        path: Of the class or function, with dots; empty if that is not known.
        distribution: Which package it comes from.
        version: Of that package.
        state: ``"usable"``; ``"optional"``, if it needs a package that is not installed; or ``"broken"``.
        problem: Why it cannot be used, a sentence fragment; empty if it can.
    """

    kind: str
    name: str
    path: str
    distribution: str
    version: str
    state: Literal["usable", "optional", "broken"] = "usable"
    problem: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the attributes, for JSON."""
        return asdict(self)


def conflicts(manager: PluginManager) -> list[str]:
    """Return a sentence for each name that several plugins claim, after loading all of them.

    Args:
        manager: Knows the plugins.
    """
    manager.load_entry_points()
    return [clash(offers) for kind in _KINDS for offers in manager.offers(kind).values() if len(offers) > 1]


def installed_plugins(manager: PluginManager) -> list[Installed]:
    """Return all that installed packages offer, usable or not, after loading and importing all of it.

    Args:
        manager: Knows the plugins.
    """
    manager.load_entry_points()
    # In this order: some fail to load only when they are asked what they offer.
    return [*_offered(manager), *_observers(manager), *_failed(manager)]


def _offered(manager: PluginManager) -> Iterator[Installed]:
    for kind in _KINDS:
        for offers in manager.offers(kind).values():
            for offer in offers:
                yield _examined(manager, offer, offers)


def _examined(manager: PluginManager, offer: Offer, same_name: list[Offer]) -> Installed:
    what = (offer.kind.noun, offer.name, offer.path, *manager.origin(offer.provider))
    if len(same_name) > 1 and not offer.is_bundled:
        return Installed(*what, "broken", clash(same_name))
    try:
        manager.resolve(offer)
    except ConfigurationError as error:
        needs_package = missing_package(error.__cause__, offer.path)
        return Installed(*what, "optional" if needs_package else "broken", str(error))
    return Installed(*what)


def _observers(manager: PluginManager) -> Iterator[Installed]:
    for hook in _OBSERVING_HOOKS:
        for one in manager.implementations(hook):
            yield Installed("observer", hook, dotted_path(one.function), *manager.origin(one.plugin_name))


def _failed(manager: PluginManager) -> Iterator[Installed]:
    for plugin, error in manager.load_errors.items():
        yield Installed("plugin", manager.sources[plugin].value, "", *manager.origin(plugin), "broken", repr(error))
