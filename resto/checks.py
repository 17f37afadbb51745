"""System checks: what is wrong with the settings, before it hurts (``manage.py check``)."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.files.storage import default_storage, storages
from django.db.models import FileField
from django.utils.module_loading import import_string

from resto.base import ReplicatedStorage
from resto.exceptions import ConfigurationError
from resto.plugins import get_plugin_manager
from resto.settings import storage_settings
from resto.storage import DistributedStorage


__all__ = ["check_plugins", "check_storages"]


def check_storages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the storages of ``STORAGES`` and those of the fields of models."""
    messages: list[CheckMessage] = []
    for where, storage in _configured_storages():
        if isinstance(storage, CheckMessage):
            messages.append(storage)
        else:
            messages += _check_storage(where, storage)
    return messages


def check_plugins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the plugins of other packages."""
    manager = get_plugin_manager()
    conflicts = [Error(conflict, hint="Uninstall one of them.", id="resto.E010") for conflict in manager.conflicts()]
    broken = [
        checks.Warning(f"plugin {plugin} failed to load: {error}", hint="Update it, or uninstall it.", id="resto.W003")
        for plugin, error in manager.load_errors.items()
    ]
    return [*conflicts, *broken]


def _configured_storages() -> Iterator[tuple[str, ReplicatedStorage | CheckMessage]]:
    seen: set[int] = set()
    for alias, parameters in storage_settings().items():
        if _is_ours(parameters.get("BACKEND")):
            storage = _created(alias)
            seen.add(id(storage))
            yield f"STORAGES[{alias!r}]", storage
    for field in _file_fields():
        if field.storage is default_storage:
            continue  # checked above, and cannot even be looked at if its options are wrong
        if isinstance(field.storage, ReplicatedStorage) and id(field.storage) not in seen:
            seen.add(id(field.storage))
            yield str(field), field.storage


def _is_ours(backend: Any) -> bool:
    try:
        found = import_string(backend) if isinstance(backend, str) else backend
    except ImportError:
        return False  # Django says so
    return isinstance(found, type) and issubclass(found, ReplicatedStorage)


def _created(alias: str) -> ReplicatedStorage | CheckMessage:
    try:
        return cast("ReplicatedStorage", storages[alias])
    except (TypeError, ConfigurationError) as error:
        hint = "See the settings reference for the options that there are."
        return Error(f"STORAGES[{alias!r}]: wrong OPTIONS: {error}", hint=hint, id="resto.E001")


def _file_fields() -> Iterator[FileField]:
    for model in apps.get_models():
        for field in model._meta.get_fields():  # noqa: SLF001 - a public API of Django (ref/models/meta)
            if isinstance(field, FileField):
                yield field


def _check_storage(where: str, storage: ReplicatedStorage) -> Iterable[CheckMessage]:
    problems = storage.problems()
    for problem in problems:
        yield Error(f"{where}: {problem.problem}", hint=problem.hint or None, id=f"resto.{problem.code}")
    if not problems and storage.has_literal_credentials():
        yield checks.Warning(
            f"{where}: the options contain a credential, which migrations and task queues would write down",
            hint="Put it into RESTO_CREDENTIALS, and give its name as 'auth'.",
            id="resto.W001",
        )
    if isinstance(storage, DistributedStorage) and not storage.fatal_exceptions:
        yield checks.Warning(
            f"{where}: files can be lost without an exception, as fatal_exceptions is off and there is no master copy",
            hint="Set fatal_exceptions, or use HybridStorage.",
            id="resto.W002",
        )
