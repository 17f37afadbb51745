"""Finds transports and executors by name, and tells observers what happened.

The bundled transports and executors are offered through the same hooks as those of other packages. The entry points of
the group ``resto`` are loaded one by one, when a name is not a bundled one or an action is observed for the first time;
one that is broken hurts only those who ask for it. What all of them are is told by `resto.installed`.
"""

import inspect
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import pluggy

from resto import __version__, executors, hookspecs, transports
from resto.exceptions import ConfigurationError
from resto.executors import Executor
from resto.offers import (
    BUNDLED,
    EXECUTOR,
    TRANSPORT,
    Kind,
    Offer,
    check_class,
    check_offered,
    clash,
    dotted_path,
    import_class,
)
from resto.outcomes import Outcome
from resto.sensitive import sensitive_variables
from resto.spelling import did_you_mean, options_of, unknown_options
from resto.transports import Transport


if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["PluginManager", "create_plugin_manager", "get_plugin_manager", "identity"]

logger = logging.getLogger("resto")

_CLASS_HINT = "Give the name of a plugin, or a class or its dotted path."

_BLAME_HINT = "Compare its options with its documentation; if they are right, update it, or tell its authors."

# What pyproject.toml calls the project, for lists of what is installed. On an index the name is nobody's yet, so that nothing
# may tell people to install it: they would run the code of whoever takes the name first.
_DISTRIBUTION = "django-resto-storage"


class PluginManager:
    """Knows the plugins of one process.

    Args:
        points: The entry points to load when they are needed.

    Attributes:
        sources: Plugin of another package, as messages call it -> its entry point.
        load_errors: Plugin -> what went wrong when it was loaded.
    """

    def __init__(self, points: "tuple[EntryPoint, ...]" = ()) -> None:
        self._pluggy = pluggy.PluginManager("resto")
        self._pluggy.add_hookspecs(hookspecs)
        self._pluggy.register(transports, "resto.transports")
        self._pluggy.register(executors, "resto.executors")
        self._points = deque(points)
        self.sources = {_describe(point): point for point in points}
        # Reentrant: a plugin may use a storage while it is imported.
        self._lock = threading.RLock()
        self.load_errors: dict[str, BaseException] = {}

    def add_bundled(self, name: str, plugin: object) -> None:
        """Add a plugin of resto that a site has asked for; processes that are forked from now on have it, too.

        Args:
            name: What messages call it; one of `resto.offers.BUNDLED`.
            plugin: Has hooks.
        """
        _asked_for[name] = plugin
        if not self._pluggy.has_plugin(name):
            self._pluggy.register(plugin, name)

    def transport(self, choice: str | type) -> type[Transport]:
        """Return the transport class for a plugin's name, a dotted path, or a class.

        Raises:
            ConfigurationError: There is none, it cannot be imported, or two plugins claim the name.
        """
        return cast("type[Transport]", self._find(TRANSPORT, choice))

    def executor(self, choice: str | type) -> type[Executor]:
        """Return the executor class for a plugin's name, a dotted path, or a class.

        Raises:
            ConfigurationError: There is none, it cannot be imported, or two plugins claim the name.
        """
        return cast("type[Executor]", self._find(EXECUTOR, choice))

    @sensitive_variables()
    def create_transport(self, choice: str | type, base_url: str, /, **options: Any) -> Transport:
        """Return a transport of the class that `transport` finds.

        Raises:
            ConfigurationError: There is no such class, it does not take these options, or it raises something else.
        """
        return cast("Transport", self._create(TRANSPORT, choice, (base_url,), options))

    @sensitive_variables()
    def create_executor(self, choice: str | type, /, **options: Any) -> Executor:
        """Return an executor of the class that `executor` finds.

        Raises:
            ConfigurationError: As in `create_transport`.
        """
        return cast("Executor", self._create(EXECUTOR, choice, (), options))

    def notify(self, outcome: Outcome) -> None:
        """Tell all observers of an outcome; what they raise is logged."""
        self._tell("resto_action_finished", outcome=outcome)

    def notify_pending(self, storage: str, host: str, count: int, oldest: float | None, under_way: int) -> None:
        """Tell all observers what one host may have missed; what they raise is logged.

        Args:
            storage: As for `resto.hookspecs.resto_host_pending`, like the others.
            host: The same.
            count: The same.
            oldest: The same.
            under_way: The same.
        """
        self._tell("resto_host_pending", storage=storage, host=host, count=count, oldest=oldest, under_way=under_way)

    def settings(self) -> set[str]:
        """Return the names of the settings that plugins read; what their hooks raise is noted in ``load_errors``."""
        names: set[str] = set()
        for implementation in self.implementations("resto_settings"):
            try:
                names.update(map(str, cast("Iterable[object]", implementation.function())))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - as in load_entry_points
                self._note_failure(implementation.plugin_name, error)
        return names

    def is_observed(self, hook: str) -> bool:
        """Return whether any plugin implements a hook, so that there is somebody to tell."""
        return bool(self.implementations(hook))

    def _tell(self, hook: str, **arguments: Any) -> None:
        for implementation in self.implementations(hook):
            try:
                # As in pluggy, an implementation may leave out arguments that it does not need.
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except KeyboardInterrupt:
                raise
            # SystemExit and CancelledError too: the hosts have done their part, and the record must still learn of it.
            except BaseException:
                logger.exception("Plugin %s failed in %s.", implementation.plugin_name, hook)

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Return what implements a hook, after loading all plugins."""
        self.load_entry_points()
        implementations: list[pluggy.HookImpl] = getattr(self._pluggy.hook, hook).get_hookimpls()
        return implementations

    def origin(self, provider: str) -> tuple[str, str]:
        """Return the name and the version of the package that a plugin comes from; both empty if that is not known."""
        if provider in BUNDLED:
            return _DISTRIBUTION, __version__
        distribution = self.sources[provider].dist
        return (distribution.name, distribution.version) if distribution else ("", "")

    def load_entry_points(self) -> None:
        """Load the plugins of other packages that are not loaded yet; wait for a thread that does so already."""
        with self._lock:
            while self._points:
                point = self._points.popleft()
                try:
                    self._register(point)
                except KeyboardInterrupt:
                    raise
                # Whatever it is, SystemExit too, it must not hurt those who use other plugins.
                except BaseException as error:  # noqa: BLE001
                    self._note_failure(_describe(point), error)

    def _note_failure(self, plugin: str, error: BaseException) -> None:
        if plugin not in self.load_errors:
            logger.warning("Failed to load plugin %s: %r.", plugin, error)
        self.load_errors[plugin] = error

    def _register(self, point: "EntryPoint") -> None:
        plugin = point.load()
        name = _describe(point)
        try:
            self._pluggy.register(plugin, name)
            self._pluggy.check_pending()
            _check_hooks(self._pluggy.get_hookcallers(plugin), plugin)
        except pluggy.PluginValidationError:
            self._pluggy.unregister(name=name)  # does nothing if there is nothing to undo
            raise

    def _find(self, kind: Kind, choice: str | type) -> type:
        if not isinstance(choice, str):
            return check_class(kind, choice, repr(choice), _CLASS_HINT)
        if "." in choice:
            found = import_class(kind, choice, repr(choice), "Check the dotted path, and that its package is installed")
            return check_class(kind, found, repr(choice), _CLASS_HINT)
        offers = self.offers(kind)
        if choice not in offers:
            self.load_entry_points()
            offers = self.offers(kind)
        if choice not in offers:
            raise self._unknown(kind, choice, sorted(offers))
        first, *others = offers[choice]
        if others and not first.is_bundled:
            raise ConfigurationError(clash(offers[choice]), "Uninstall one of them.", kind.code)
        return self.resolve(first)

    def _create(self, kind: Kind, choice: str | type, args: tuple[Any, ...], options: dict[str, Any]) -> object:
        found = self._find(kind, choice)
        with _blaming(f"the {kind.noun} {dotted_path(found)}{self._of_distribution(kind, choice)}"):
            try:
                return found(*args, **options)
            except TypeError as error:
                if _takes(found, args, options, error):
                    raise
                unknown = _refused(found, args, options)
                problem, hint = unknown or (str(error), "")
                hint = " ".join(filter(None, [*self._others_with(kind, found, options), hint]))
                problem = f"wrong {kind.noun}_options: {problem}"
                # What is said of unknown options needs no traceback of whoever refuses them.
                raise ConfigurationError(problem, hint, kind.options_code) from (None if unknown else error)

    def _others_with(self, kind: Kind, found: type, options: Mapping[str, Any]) -> Iterator[str]:
        """Yield which bundled plugin takes an option that this one does not know, a sentence each."""
        for name, (offer, *_) in self.offers(kind).items():
            try:
                other = self.resolve(offer) if offer.is_bundled else found
            except ConfigurationError:  # its package is not installed
                continue
            for option in sorted(options.keys() & {*options_of(other)} - {*options_of(found)}):
                yield f"{option!r} is an option of the {kind.noun} {name!r}."

    def _of_distribution(self, kind: Kind, choice: str | type) -> str:
        if not isinstance(choice, str) or "." in choice:
            return ""
        name, version = self.origin(self.offers(kind)[choice][0].provider)
        return f" of {name} {version}"

    def resolve(self, offer: Offer) -> type:
        """Return the class that a plugin offers.

        Raises:
            ConfigurationError: It cannot be imported, or is none of its kind.
        """
        description = f"{offer.name!r} of {offer.provider}"
        advice = f"Update or uninstall {self.origin(offer.provider)[0] or offer.provider}, and tell its authors"
        found: object = offer.factory
        if isinstance(offer.factory, str):
            bundled = offer.name if offer.is_bundled else None
            found = import_class(offer.kind, offer.factory, description, advice, bundled)
        return check_class(offer.kind, found, description, f"{advice}.")

    def offers(self, kind: Kind) -> dict[str, list[Offer]]:
        """Return, for each name, what the plugins that are loaded offer under it, bundled ones first.

        A plugin whose hook fails offers nothing, and is noted in ``load_errors``.
        """
        offers: dict[str, list[Offer]] = {}
        implementations = getattr(self._pluggy.hook, kind.hook).get_hookimpls()
        # No plugin shadows a bundled one, even if its hooks ask to be called first.
        for implementation in sorted(implementations, key=lambda one: one.plugin_name not in BUNDLED):
            try:
                offered = implementation.function()
                check_offered(kind, offered)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - as in load_entry_points
                self._note_failure(implementation.plugin_name, error)
                continue
            for name, factory in offered.items():
                offers.setdefault(name, []).append(Offer(kind, name, implementation.plugin_name, factory))
        return offers

    def _unknown(self, kind: Kind, choice: str, known: list[str]) -> ConfigurationError:
        failed = "".join(f"; {plugin} failed to load: {error!r}" for plugin, error in self.load_errors.items())
        otherwise = (
            "If it is one of a plugin that failed to load, update that one, and tell its authors."
            if failed
            else "Name one of these, or install the package that offers it."
        )
        hint = did_you_mean(choice, known) or otherwise
        return ConfigurationError(
            f"no {kind.noun} named {choice!r}; known: {', '.join(known)}{failed}", hint, kind.code
        )


def create_plugin_manager(*, load_installed: bool = True) -> PluginManager:
    """Return a new plugin manager.

    Args:
        load_installed: Whether it knows the plugins of installed packages, or the bundled ones only.
    """
    from importlib.metadata import entry_points  # takes a fifth of the time that it takes to import resto

    points = tuple(entry_points(group="resto")) if load_installed else ()
    return PluginManager(points)


# Plugins of resto that the site has asked for, by their names.
_asked_for: dict[str, object] = {}


@cache
def get_plugin_manager() -> PluginManager:
    """Return the plugin manager of this process."""
    manager = create_plugin_manager()
    for name, plugin in _asked_for.items():
        manager.add_bundled(name, plugin)
    return manager


# A forked child starts afresh: the parent may have been loading plugins, in a thread that the child does not have.
os.register_at_fork(after_in_child=get_plugin_manager.cache_clear)


def identity(transport: Transport, host: str) -> str:
    """Return what a transport says that two spellings of a host have in common.

    Raises:
        ConfigurationError: It cannot reach such a host, or it does not keep its contract.
    """
    description = f"{dotted_path(type(transport))}.identify, asked for host {host!r},"
    with _blaming(description):
        found = transport.identify(host)
    if not isinstance(found, str):
        raise ConfigurationError(f"{description} returned {found!r} instead of a string", _BLAME_HINT)
    return found


@contextmanager
def _blaming(description: str) -> Iterator[None]:
    """Say who has raised what only they understand."""
    try:
        yield
    except (ConfigurationError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too, as in load_entry_points
        text = f": {error}" if str(error) else ""
        raise ConfigurationError(f"{description} raised {type(error).__name__}{text}", _BLAME_HINT) from error


def _takes(found: type, args: tuple[Any, ...], options: dict[str, Any], error: TypeError) -> bool:
    """Tell whether a class takes these options, so that an error of its constructor has another cause."""
    # A constructor may hand its options on, to one that does not know them.
    if any(f"unexpected keyword argument {name!r}" in str(error) for name in options):
        return False
    try:
        inspect.signature(found).bind(*args, **options)
    except TypeError:
        return False
    return True


def _refused(found: type, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with the names of options, and a hint; None if they are all known."""
    known = options_of(found, len(args))
    unknown = options.keys() - set(known)
    return unknown_options(found, unknown, known) if unknown else None


def _check_hooks(callers: list[pluggy.HookCaller] | None, plugin: object) -> None:
    if not callers:
        raise pluggy.PluginValidationError(plugin, "it offers nothing; is @resto.hookimpl missing?")
    for caller in callers:
        for one in caller.get_hookimpls():
            if one.plugin is plugin and (one.wrapper or one.hookwrapper):
                raise pluggy.PluginValidationError(plugin, f"{caller.name} wraps those of others, which has no effect")


def _describe(point: "EntryPoint") -> str:
    distribution = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"{point.value}{distribution}"
