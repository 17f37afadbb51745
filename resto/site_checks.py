"""System checks of settings as a whole: their names, what ``STORAGES`` is made of, and what its storages have in common."""

import os
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from resto.plugins import get_plugin_manager
from resto.settings import (
    DEFAULTS,
    OLD_SECRETS,
    get_setting,
    media_root,
    misshapen_storages,
    misspelt_settings,
    names_of_settings,
    storage_settings,
)
from resto.spelling import did_you_mean, options_of
from resto.storage import DistributedStorage
from resto.storage.composition import imported_backend
from resto.storage.finding import name_in_storages, replicated_aliases, replicated_storages, unusable_backends
from resto.storage.near import hosts_named, wrong_settings
from resto.storage.sharing import SharedHost, nested_directories, place_of, shared_hosts


__all__ = [
    "check_backends",
    "check_directories",
    "check_near",
    "check_parameters",
    "check_settings",
    "check_sharing",
    "check_static_files",
]

_BACKENDS = (
    "resto.storage.HybridStorage",
    "resto.storage.AsyncStorage",
    "resto.storage.DistributedStorage",
    "resto.staticfiles.StaticFilesStorage",
    "resto.staticfiles.ManifestStaticFilesStorage",
)

_SHAPE = "Write STORAGES as {alias: {'BACKEND': 'path.of.a.Class', 'OPTIONS': {name: value}}}."


def check_backends(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that a storage can be made of whatever stands in ``STORAGES``."""
    return [_unusable(alias, problem) for alias, problem in unusable_backends().items()]


def _unusable(alias: Any, problem: str) -> CheckMessage:
    backend = None if alias in misshapen_storages() else storage_settings()[alias].get("BACKEND")
    if not isinstance(backend, str):
        hint = f"Write {{'BACKEND': {_path_of(backend)!r}}}." if isinstance(backend, type) else _SHAPE
        return Error(f"{name_in_storages(alias)}: {problem}", hint=hint, id="resto.E033")
    question = _question(backend)
    if question or backend.startswith("resto."):
        hint = question or f"Those of resto are {', '.join(_BACKENDS)}."
        return Error(f"{name_in_storages(alias)}: {problem}", hint=hint, id="resto.E023")
    # It may be that nobody needs it on this machine.
    return checks.Warning(f"{name_in_storages(alias)}: {problem}", hint="Correct it, or install it.", id="resto.W020")


def _path_of(found: type) -> str:
    """Return the dotted path of a class, as a site should write it."""
    ours = next((path for path in _BACKENDS if imported_backend(path) is found), None)
    return ours or f"{found.__module__}.{found.__qualname__}"


def _question(backend: str) -> str:
    within = [one for one in _BACKENDS if one.startswith(f"{backend}.")]
    return f"Did you mean {within[0]!r}?" if within else did_you_mean(backend, _BACKENDS)


def check_parameters(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``STORAGES`` has of each storage of resto what Django reads, and nothing besides."""
    return [
        Error(f"STORAGES[{alias!r}] {problem}", hint=hint, id="resto.E028")
        for alias in replicated_aliases()
        for problem, hint in _wrong_parameters(storage_settings()[alias])
    ]


def _wrong_parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    options = parameters.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        kind = type(options).__name__
        yield f"has OPTIONS that are of type {kind}, and must be a mapping", "Write OPTIONS: {name: value}."
    for key in parameters.keys() - {"BACKEND", "OPTIONS"}:
        is_option = key in options_of(imported_backend(parameters["BACKEND"]))
        question = (
            f"Write it into OPTIONS: {{{key!r}: ...}}." if is_option else did_you_mean(str(key), ["OPTIONS", "BACKEND"])
        )
        yield f"has a key {key!r}, which nobody reads", question or "It has BACKEND and OPTIONS."


def check_static_files(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that static files are not kept among those of visitors."""
    alias = "staticfiles"
    backend = storage_settings().get(alias, {}).get("BACKEND") if replicated_aliases([alias]) else None
    if backend is None or place_of(alias) != os.path.realpath(media_root()):
        return []
    return [
        checks.Warning(
            f"STORAGES[{alias!r}] keeps static files in MEDIA_ROOT, among those that are uploaded, and with their URLs",
            hint="Take resto.staticfiles.StaticFilesStorage, which keeps them in STATIC_ROOT.",
            id="resto.W015",
        )
    ]


def check_directories(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that directories which are hosts are the same on all machines, as far as the record can be read."""
    messages: list[CheckMessage] = []
    for alias in replicated_aliases():
        try:
            messages += _different_directories(alias)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, S112 - `check_storages` says what is wrong; the record may be out of reach
            continue
    return messages


def _different_directories(alias: str) -> Iterator[CheckMessage]:
    storage = replicated_storages([alias])[alias]
    directories = [host for host in storage.hosts if storage.transport_for(host).local_path(host) is not None]
    known = storage.recognition.known() if directories else {}
    for host in directories:
        seen = known[host].places if host in known else {}
        if len(set(seen.values())) > 1:
            machines = ", ".join(f"{identity[:8] or 'none'} on {machine}" for machine, identity in seen.items())
            yield checks.Warning(
                f"STORAGES[{alias!r}]: {host} is another directory on each machine, as its identities show: {machines}",
                hint="Mount the same directory there on all machines. If each is to have one of its own, give each a URL of its own: "
                "a media server, which RESTO_NEAR may bring near.",
                id="resto.W017",
            )


def check_near(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that directories which are named as those of hosts are, and that files are read there."""
    wrong = wrong_settings()
    if wrong is not None:
        hint = "RESTO_NEAR maps URLs of hosts to absolute paths, RESTO_NEAR_LAG is a number of seconds, at least 0."
        return [Error(wrong, hint=hint, id="resto.E029")]
    directories = get_setting("NEAR")
    messages = [_unread_near(url, os.fspath(path)) for url, path in directories.items()] if directories else []
    return [message for message in messages if message is not None]


def _unread_near(url: str, path: str) -> CheckMessage | None:
    """Return why no file is read from the directory of a host; None if files are, or if that cannot be found out."""
    problem, hint = f"no storage has the host {url!r}", "Write it as it stands in 'hosts', or remove it."
    for alias in replicated_aliases():
        try:
            storage = replicated_storages([alias])[alias]
            hosts = hosts_named(storage, url)
            # With a master copy, that is read.
            if hosts and (not isinstance(storage, DistributedStorage) or storage.near.is_believed(hosts[0], path)):
                return None
        except Exception:  # noqa: BLE001 - its options are wrong, as `check_storages` says; or the record is out of reach
            return None
        if hosts:
            problem = f"{path} has not the file .resto.host by which the record knows {hosts[0]}"
            hint = "Is it the directory of that host, and mounted? A host gets that file with the first save."
    return checks.Warning(f"RESTO_NEAR: {problem}, so that files are read over the network", hint=hint, id="resto.W018")


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that somebody reads each setting whose name begins as those of resto, or is like one of them."""
    return [checks.Warning(problem, hint=hint, id="resto.W010") for problem, hint in _unread_settings()]


def _unread_settings() -> Iterator[tuple[str, str]]:
    known = {f"RESTO_{name}" for name in DEFAULTS} | {OLD_SECRETS}
    unknown = [name for name in names_of_settings() if name not in known]
    if unknown:
        known |= get_plugin_manager().settings()
    all_of_them = (
        f"It has {', '.join(sorted(known))}. A plugin that reads it should say so with the hook resto_settings."
    )
    for name in unknown:
        if name not in known:
            yield (
                f"resto has no setting {name}, and reads it nowhere",
                did_you_mean(name, known, "RESTO_") or all_of_them,
            )
    for name, meant in misspelt_settings().items():
        yield f"the setting {name} is like one of resto, which does not read it", f"Did you mean {meant!r}?"


def check_sharing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that storages have directories and hosts of their own, unless they have both in common."""
    aliases = replicated_aliases()
    messages: list[CheckMessage] = []
    for number, alias in enumerate(aliases):
        by_other = groupby(shared_hosts(alias), key=lambda one: one.other)
        for other, shared in ((other, [*group]) for other, group in by_other):
            same = [one.host for one in shared if not one.inside]
            if same and other in aliases[:number]:  # each pair once
                messages.append(_shared(alias, other, same))
            messages += _inside([one for one in shared if one.inside and not one.is_outer])
        messages += _nested(alias)
    return messages


def _shared(alias: str, other: str, hosts: list[str]) -> CheckMessage:
    return Error(
        f"STORAGES[{alias!r}] has {', '.join(hosts)}, as STORAGES[{other!r}] has, whose files are others: each would replace and "
        "remove those of the other one",
        hint=f"Give STORAGES[{alias!r}] hosts, or a folder on each host, of its own, with the option 'hosts': RESTO_MEDIA_HOSTS "
        "holds for all storages.",
        id="resto.E025",
    )


def _inside(shared: list[SharedHost]) -> Iterator[CheckMessage]:
    for one in shared[:1]:
        yield checks.Warning(
            f"STORAGES[{one.alias!r}] has {one.host}, which lies in {one.other_host} of STORAGES[{one.other!r}]: that one can have no "
            f"files in {one.inside!r}",
            hint="Let them have folders beside each other, such as /media/ and /static/. If names of files never begin so, silence this.",
            id="resto.W016",
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
