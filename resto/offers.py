"""What plugins offer: classes of two kinds, each under a name, or their dotted paths.

Here it is said what an offer is, and what is wrong with one. Which plugins there are is known to `resto.plugins`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

from resto.exceptions import ConfigurationError
from resto.executors import Executor
from resto.transports import Transport


__all__ = [
    "BUNDLED",
    "EXECUTOR",
    "HANDING_OVER",
    "TRANSPORT",
    "Kind",
    "Offer",
    "check_class",
    "check_offered",
    "clash",
    "dotted_path",
    "import_class",
    "missing_package",
]

# What the extras of resto bring, by the names of what is bundled.
_EXTRAS = {"rq": "rq>=3.0", "celery": "celery>=5.5", "tasks": "django-tasks>=0.12"}

# The bundled executors that hand jobs over to somebody else. Each needs a package.
HANDING_OVER = frozenset(_EXTRAS)

# The plugins that are part of resto.
BUNDLED = frozenset({"resto.transports", "resto.executors", "resto.metrics"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a plugin can offer.

    Attributes:
        noun: What messages call it.
        hook: By which a plugin offers some.
        base: The class that all of them have in common.
        code: Of the check that reports one that cannot be found.
        options_code: Of the check that reports one that does not take its options.
    """

    noun: str
    hook: str
    base: type
    code: str
    options_code: str


TRANSPORT = Kind("transport", "resto_register_transports", Transport, "E006", "E008")
EXECUTOR = Kind("executor", "resto_register_executors", Executor, "E007", "E007")


@dataclass(frozen=True, slots=True)
class Offer:
    """A class that a plugin offers under a name.

    Attributes:
        kind: Of the class.
        name: What settings call it.
        provider: The plugin, as messages call it.
        factory: The class, or its dotted path.
    """

    kind: Kind
    name: str
    provider: str
    factory: str | type

    @property
    def path(self) -> str:
        """Where the class can be imported from."""
        return self.factory if isinstance(self.factory, str) else dotted_path(self.factory)

    @property
    def is_bundled(self) -> bool:
        """Whether it is part of resto: then it has the name, whoever else claims it."""
        return self.provider in BUNDLED


def check_offered(kind: Kind, offered: object) -> None:
    """Raise if what the hook of a plugin returned are no offers.

    Args:
        kind: Of the hook.
        offered: What it returned; names -> classes or dotted paths, if all is well.

    Raises:
        TypeError: It is something else.
        ValueError: A name is none.
    """
    if not isinstance(offered, Mapping):
        raise TypeError(f"{kind.hook} returned {type(offered).__name__}, a mapping is needed")
    if not all(isinstance(name, str) for name in offered):
        raise TypeError(f"{kind.hook} returned a mapping with a key that is not a string")
    for name, offer in offered.items():
        if not name or "." in name:
            raise ValueError(f"{kind.hook} returned the name {name!r}; one without dots is needed, as they mark a path")
        if not isinstance(offer, str | type):
            raise TypeError(f"{kind.hook} returned {offer!r} for {name!r}, a class or its dotted path is needed")


def import_class(kind: Kind, path: str, description: str, advice: str, bundled: str | None = None) -> object:
    """Return what a dotted path names, which should be a class.

    Args:
        kind: Of the class.
        path: Where it is.
        description: What messages call it.
        advice: What to do if it cannot be imported.
        bundled: Its name, if it is one of resto.

    Raises:
        ConfigurationError: It cannot be imported.
    """
    try:
        return import_string(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may fail in any way while it is imported
        missing = missing_package(error, path)
        if bundled in _EXTRAS:
            advice = f"Install what it needs: pip install '{_EXTRAS[bundled]}'"
        elif missing:
            advice = f"Install the module {missing!r} that it needs; its package may have an extra for that"
        hint = f"{advice}: {type(error).__name__}: {error}"
        raise ConfigurationError(f"the {kind.noun} {description} cannot be imported", hint, kind.code) from error


def missing_package(error: BaseException | None, path: str) -> str:
    """Return the module of another package that an import has failed for; empty if it has failed for another reason."""
    name = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
    # Where a part of a package is missing, the package is there.
    return "" if "." in name or name == path.partition(".")[0] else name


def check_class(kind: Kind, found: object, description: str, hint: str) -> type:
    """Return a class, if it is one that can be used.

    Args:
        kind: What it should be.
        found: The class, or whatever stands in its place.
        description: What messages call it.
        hint: What to do if it is something else.

    Raises:
        ConfigurationError: It is no class of this kind, or lacks methods.
    """
    if not isinstance(found, type) or not issubclass(found, kind.base):
        expected = f"{kind.base.__module__}.{kind.base.__name__}"
        raise ConfigurationError(f"the {kind.noun} {description} is not a subclass of {expected}", hint, kind.code)
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ConfigurationError(f"the {kind.noun} {description} lacks {', '.join(missing)}", hint, kind.code)
    return found


def clash(offers: list[Offer]) -> str:
    """Return who claims a name that only one can have, a sentence fragment.

    Args:
        offers: All that have this name.
    """
    providers = " and by ".join(offer.provider for offer in offers)
    return f"the {offers[0].kind.noun} name {offers[0].name!r} is claimed by {providers}"


def dotted_path(function_or_class: Any) -> str:
    """Return where a function or class can be imported from."""
    return f"{function_or_class.__module__}.{function_or_class.__qualname__}"
