"""System checks: what is wrong with the settings, before it hurts (``manage.py check``)."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.files.storage import default_storage, storages
from django.db import connections
from django.db.models import FileField
from django.utils.functional import LazyObject

from resto.exceptions import ConfigurationError
from resto.hosts import NO_HOSTS, parse_written_url
from resto.installed import conflicts
from resto.master.identity import require_exclusive_links
from resto.master.root import Root
from resto.plugins import get_plugin_manager
from resto.record import database
from resto.record.rests import durations, problem_of_durations
from resto.settings import (
    OLD_SECRETS,
    get_setting,
    has_old_secrets,
    is_debugged,
    storage_settings,
    wrong_secrets,
)
from resto.storage import DistributedStorage, HybridStorage, ReplicatedStorage, is_replicated
from resto.storage.finding import replicated_aliases
from resto.storage.occupancy import aliases_of_location
from resto.transports.http import HttpTransport


__all__ = [
    "check_masters",
    "check_plugins",
    "check_record",
    "check_secrets",
    "check_storages",
]

_REFERENCE_HINT = "See the settings reference for the options that there are."


def check_storages(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check the storages of ``STORAGES`` and those of the fields of models."""
    messages: list[CheckMessage] = []
    seen: set[int] = set()
    for where, get_storage in _configured_storages(app_configs):
        try:
            storage = get_storage()
            if isinstance(storage, ReplicatedStorage) and id(storage) not in seen:
                seen.add(id(storage))
                messages += _check_storage(where, storage)
        except KeyboardInterrupt:
            raise
        except ConfigurationError as error:
            if error.code != "E013":  # which `check_record` says
                messages.append(Error(f"{where}: {error.problem}", hint=error.hint, id=f"resto.{error.code}"))
        # A check reports; it must not keep the others from doing so, whatever a subclass or a plugin raises: SystemExit
        # would end the command in silence.
        except BaseException as error:  # noqa: BLE001
            problem = f"wrong options: {error}" if isinstance(error, TypeError) else f"it raised {error!r}"
            messages.append(Error(f"{where}: {problem}", hint=_REFERENCE_HINT, id="resto.E001"))
    return messages


def check_masters(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that directories prove to be the master copies that they should be, as far as the record can be read."""
    messages: list[CheckMessage] = []
    for alias in replicated_aliases():
        try:
            storage = storages[alias]
            if isinstance(storage, HybridStorage):
                messages += _check_master(f"STORAGES[{alias!r}]", storage)
        except KeyboardInterrupt:
            raise
        # `check_storages` says what is wrong with it; and the record may be out of reach.
        except BaseException:  # noqa: BLE001, S112
            continue
    return messages


def _check_master(where: str, storage: HybridStorage) -> Iterator[CheckMessage]:
    others = {alias: other for alias, other in aliases_of_location(storage.location).items() if other is not storage}
    for alias, other in others.items():
        if isinstance(other, HybridStorage) and set(other.hosts) != set(storage.hosts):
            yield Error(
                f"{where}: STORAGES[{alias!r}] keeps its files in {storage.location}, too, and has other hosts",
                hint="Give them the same hosts, or a directory each.",
                id="resto.E021",
            )
    problem, _ = storage.belief.examine()
    if problem is not None:
        # No error: machines that do other things for the site need not have the directory.
        yield checks.Warning(f"{where}: {problem.problem}", hint=problem.hint, id="resto.W008")
    if storage.is_recorded() and Path(storage.location).is_dir() and os.access(storage.location, os.W_OK):
        try:
            with Root(storage.location) as root:
                require_exclusive_links(root.descriptor, storage.location)
        except ConfigurationError as error:
            yield Error(f"{where}: {error.problem}", hint=error.hint, id=f"resto.{error.code}")


def check_record(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the settings of the durable record."""
    messages: list[CheckMessage] = []
    try:
        if database.vendor() == "sqlite":
            messages += _check_sqlite(get_setting("DATABASE"))
    except ConfigurationError as error:
        messages.append(Error(error.problem, hint=error.hint, id="resto.E013"))
    problem = _problem_of_durations()
    if problem is not None:
        messages.append(Error(problem.problem, hint=problem.hint, id="resto.E014"))
    return messages


def _problem_of_durations() -> ConfigurationError | None:
    try:
        lease, grace = durations()
    except ConfigurationError as error:
        return error
    return None if lease > grace else problem_of_durations()


def _check_sqlite(alias: str) -> Iterable[CheckMessage]:
    """Warn if a rollback takes rows of the record back: a second connection would wait for the first one for ever."""
    if connections[alias].settings_dict["ATOMIC_REQUESTS"]:
        yield checks.Warning(
            f"the record is in the SQLite database {alias!r}, whose requests are transactions: a request that fails after it "
            "has saved or deleted a file takes back what the record says of hosts that missed it",
            hint="Give the record a SQLite file of its own: another alias in DATABASES, named by RESTO_DATABASE.",
            id="resto.W004",
        )


def check_secrets(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that credentials have names, and that Django hides them."""
    messages: list[CheckMessage] = []
    wrong = wrong_secrets()
    if wrong is not None:
        # Without what it holds, which may be a secret.
        messages.append(Error(f"{wrong} is no mapping", hint="It maps names to credentials.", id="resto.E018"))
    if has_old_secrets():
        messages.append(_old_secrets())
    return messages


def _old_secrets() -> CheckMessage:
    return checks.Warning(
        f"{OLD_SECRETS} is shown by Django, in its error mails and on its debug page; resto 0.3 will not read it",
        hint="Call it RESTO_SECRETS. Django hides settings that have SECRET in their names.",
        id="resto.W006",
    )


def check_plugins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the plugins of other packages."""
    manager = get_plugin_manager()
    manager.settings()  # so that it is known who fails to name them
    claimed = [Error(conflict, hint="Uninstall one of them.", id="resto.E010") for conflict in conflicts(manager)]
    broken = [
        checks.Warning(
            f"plugin {plugin} failed to load: {error!r}", hint="Update it, or uninstall it.", id="resto.W003"
        )
        for plugin, error in manager.load_errors.items()
    ]
    return [*claimed, *broken]


def _configured_storages(app_configs: Iterable[AppConfig] | None) -> Iterator[tuple[str, Callable[[], Any]]]:
    for alias, parameters in storage_settings().items():
        has_options = isinstance(parameters.get("OPTIONS", {}), Mapping)  # else another check says so
        if has_options and is_replicated(parameters.get("BACKEND")):
            yield f"STORAGES[{alias!r}]", partial(storages.__getitem__, alias)
    for field in _file_fields(app_configs):
        if field.storage is not default_storage:  # which is checked above
            yield str(field), partial(_unwrapped, field.storage)


def _unwrapped(storage: Any) -> Any:
    """Return the storage itself if it is lazy, such as a `DefaultStorage`."""
    if isinstance(storage, LazyObject):
        str(storage.__class__)  # makes it
        return storage._wrapped  # noqa: SLF001 - there is no other way
    return storage


def _file_fields(app_configs: Iterable[AppConfig] | None) -> Iterator[FileField]:
    for config in apps.get_app_configs() if app_configs is None else app_configs:
        for model in config.get_models():
            for field in model._meta.get_fields():  # noqa: SLF001 - a public API of Django (ref/models/meta)
                if isinstance(field, FileField):
                    yield field


def _check_storage(where: str, storage: ReplicatedStorage) -> Iterable[CheckMessage]:
    problems = storage.problems()
    for problem in problems:
        yield Error(f"{where}: {problem.problem}", hint=problem.hint or _REFERENCE_HINT, id=f"resto.{problem.code}")
    if not problems and storage.has_literal_credentials():
        yield checks.Warning(
            f"{where}: the options contain a credential, which migrations and task queues would write down",
            hint="Put it into RESTO_SECRETS, and let the option hold its name instead, such as 'auth' of the transport "
            "'http', or 'url' of the executor 'rq'.",
            id="resto.W001",
        )
    exposed = [] if problems else storage.exposed_hosts()
    if exposed:
        yield checks.Warning(
            f"{where}: whoever sees requests to {', '.join(exposed)} learns the credential, and can write there: "
            "over HTTP it is sent in clear",
            hint='Use \'https://\', or "auth_scheme": "digest", which proves a password without showing it.',
            id="resto.W007",
        )
    if not problems and not storage.hosts:
        yield from _check_absence(where)
    elif not problems and database.is_installed() and not storage.is_recorded():
        yield checks.Warning(
            f"{where}: what its hosts miss is not recorded, and nothing sends it later",
            hint="Add the storage to STORAGES, by which a drain can find it, and use storages[alias].",
            id="resto.W005",
        )
    if not problems and storage.base_url == "/":
        yield checks.Warning(
            f"{where}: files have URLs below '/', the root of the site, as MEDIA_URL is empty",
            hint="Set MEDIA_URL, or the option 'base_url', to where files are served from, such as '/media/'.",
            id="resto.W011",
        )
    if not problems:
        yield from _check_names(where, storage)
        yield from _check_urls(where, storage)
    if not problems and isinstance(storage, DistributedStorage):
        yield from _check_quorum(where, storage)
        yield from _check_listing(where, storage)


def _check_absence(where: str) -> Iterable[CheckMessage]:
    """Warn that there are no hosts, unless this is where the site is developed."""
    if not is_debugged():
        yield checks.Warning(
            f"{where}: hosts is {NO_HOSTS!r}: files are kept in the master copy only, and sent nowhere",
            hint="Name the media servers; only a site with DEBUG may do without them.",
            id="resto.W009",
        )


def _check_names(where: str, storage: ReplicatedStorage) -> Iterable[CheckMessage]:
    """Warn if two hosts are this machine under two names, at the same place."""
    places: dict[tuple[int, str], str] = {}
    for host in storage.hosts:
        if not isinstance(storage.transport_for(host), HttpTransport):
            continue
        url = parse_written_url(host, storage.transport_for(host).base_url)
        other = places.setdefault((url.port, url.path), host) if url.is_loopback else host
        if other != host:
            yield checks.Warning(
                f"{where}: {other} and {host} seem to be one server, as both are this machine: files would be there only once",
                hint="List each host once.",
                id="resto.W014",
            )


def _check_urls(where: str, storage: ReplicatedStorage) -> Iterable[CheckMessage]:
    """Warn if URLs should lead to hosts, and never will."""
    if storage.url_from != "hosts" or not storage.hosts:
        return
    shown = any(storage.transport_for(host).public_url(host) is not None for host in storage.hosts)
    if not shown or not storage.is_recorded():
        reason = (
            "nothing records what these may lack" if shown else "no transport of these says where visitors find files"
        )
        yield checks.Warning(
            f"{where}: url_from is 'hosts', and URLs never lead to hosts, as {reason}",
            hint="Add 'resto' to INSTALLED_APPS, and the storage to STORAGES; or leave url_from out.",
            id="resto.W019",
        )


def _check_quorum(where: str, storage: DistributedStorage) -> Iterable[CheckMessage]:
    """Warn if hosts may miss something that nothing remembers."""
    if storage.write_quorum < len(storage.hosts) and not storage.is_recorded():
        yield checks.Warning(
            f"{where}: files can be lost without an exception, as a save succeeds that only {storage.write_quorum} of "
            f"{len(storage.hosts)} hosts {'has' if storage.write_quorum == 1 else 'have'} stored, and nothing records what the others have missed",
            hint="Add 'resto' to INSTALLED_APPS, and the storage to STORAGES; or let write_quorum be 'all', with "
            "fatal_exceptions; or use HybridStorage.",
            id="resto.W002",
        )


def _check_listing(where: str, storage: DistributedStorage) -> Iterable[CheckMessage]:
    """Warn if the files of a storage cannot be listed, or only as long as some of its hosts answer."""
    silent = [host for host in storage.hosts if not storage.transport_for(host).supports_listdir]
    if silent:
        transport = type(storage.transport_for(silent[0])).__name__
        able = [host for host in storage.hosts if host not in silent]
        what = f"works only while {' or '.join(able)} answers" if able else "raises NotImplementedError"
        yield checks.Warning(
            f"{where}: listdir() {what}, as {transport} cannot list the files of {', '.join(silent)}",
            hint="Take the transport 'webdav' where hosts speak WebDAV. If nothing on the site lists files, silence this.",
            id="resto.W012",
        )
