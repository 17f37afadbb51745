"""System checks of settings as a whole: their names, what ``STORAGES`` is made of, and what its storages have in common."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from resto.plugins import get_plugin_manager
from resto.settings import DEFAULTS, OLD_SECRETS, names_of_settings, storage_settings
from resto.spelling import did_you_mean
from resto.storage.composition import imported_backend
from resto.storage.finding import problem_of_backend, replicated_aliases
from resto.storage.sharing import SharedHost, nested_directories, place_of, shared_hosts


__all__ = ["check_backends", "check_settings", "check_sharing"]

_BACKENDS = (
    "resto.storage.HybridStorage",
    "resto.storage.AsyncStorage",
    "resto.storage.DistributedStorage",
    "resto.staticfiles.StaticFilesStorage",
    "resto.staticfiles.ManifestStaticFilesStorage",
)


def check_backends(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that each ``BACKEND`` of ``STORAGES`` which seems to mean one of resto's storages is one."""
    messages: list[CheckMessage] = []
    for alias, parameters in storage_settings().items():
        backend = parameters.get("BACKEND") if isinstance(parameters, Mapping) else None
        if isinstance(backend, str) and not isinstance(imported_backend(backend), type):
            question = did_you_mean(backend, _BACKENDS)
            if question or backend.startswith("resto."):
                problem = f"STORAGES[{alias!r}]: {problem_of_backend(backend)}"
                hint = question or f"Those of resto are {', '.join(_BACKENDS)}."
                messages.append(Error(problem, hint=hint, id="resto.E023"))
    return messages


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that somebody reads each setting whose name begins as those of resto."""
    known = {f"RESTO_{name}" for name in DEFAULTS} | {OLD_SECRETS}
    unknown = [name for name in names_of_settings() if name not in known]
    if unknown:
        known |= get_plugin_manager().settings()
    return [
        checks.Warning(
            f"resto has no setting {name}, and reads it nowhere",
            hint=did_you_mean(name, known, "RESTO_")
            or f"It has {', '.join(sorted(known))}. A plugin that reads it should say so with the hook resto_settings.",
            id="resto.W010",
        )
        for name in unknown
        if name not in known
    ]


def check_sharing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that storages have directories and hosts of their own, unless they have both in common."""
    aliases = replicated_aliases()
    messages: list[CheckMessage] = []
    for number, alias in enumerate(aliases):
        # Each pair once: of the storage that lies in another one, or else of the later one.
        shared = [
            one for one in shared_hosts(alias) if not one.is_outer and (one.inside or one.other in aliases[:number])
        ]
        for other, group in groupby(shared, key=lambda one: one.other):
            messages.append(_shared(alias, other, [*group]))
        messages += _nested(alias)
    return messages


def _shared(alias: str, other: str, shared: list[SharedHost]) -> CheckMessage:
    inside = [f"{one.host} in {one.other_host}" for one in shared if one.inside]
    same = [one.host for one in shared if not one.inside]
    those = [
        f"lies with {', '.join(inside)}, a host" if inside else "",
        f"has {', '.join(same)}, the hosts" if same else "",
    ]
    return Error(
        f"STORAGES[{alias!r}] {' and '.join(filter(None, those))} of STORAGES[{other!r}], whose files are others: each would "
        "replace and remove those of the other one",
        hint=f"Give STORAGES[{alias!r}] hosts, or a folder on each host, of its own, with the option 'hosts': RESTO_MEDIA_HOSTS "
        "holds for all storages.",
        id="resto.E025",
    )


def _nested(alias: str) -> Iterator[CheckMessage]:
    location = place_of(alias)
    for directory, other in ({} if location is None else nested_directories(location)).items():
        yield Error(
            f"STORAGES[{other!r}] keeps its files in {location}/{directory}, inside of the directory of STORAGES[{alias!r}], "
            "whose hosts would get them",
            hint=f"Give STORAGES[{other!r}] a directory elsewhere, with the option 'location'.",
            id="resto.E026",
        )
