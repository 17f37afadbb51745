"""What the package exports, and that each module has its tests."""

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import resto


NAMES = ["resto", *sorted(found.name for found in pkgutil.walk_packages(resto.__path__, "resto."))]
MODULES = [name for name in NAMES if not name.startswith("resto.migrations.")]

# What is public of the test server is what the package exports: its modules are its own affair.
LIBRARIES = [name for name in MODULES if not name.startswith("resto.testing.")]

TESTS = Path(__file__).parent

# Modules whose tests have another name, or none of their own.
TESTED_ELSEWHERE = {
    "resto.repair.restore": "repair/restore/test_run.py",
    "resto.storage.mastered": "repair/restore/test_meanwhile.py",
    "resto.storage.restoring": "repair/restore/test_run.py",
    "resto.repair.sync": "repair/sync/test_sync.py",
    "resto.repair.watch": "repair/watch/test_attendant.py",
    "resto": "test_exports.py",
    "resto.settings": "test_settings_module.py",  # tests/settings.py is the Django settings of the tests
    "resto.executors": "test_plugins.py",  # offers what is bundled
    "resto.transports": "test_plugins.py",  # the same
    "resto.base": "test_written_by_0_1.py",
    "resto.drain": "test_written_by_0_1.py",
    "resto.distributed": "test_written_by_0_1.py",
    "resto.offers": "test_plugins.py",  # whose real packages offer good and bad ones
    "resto.hostnames": "test_hosts.py",
    "resto.repair.sync.sending": "repair/sync/test_with_master.py",
    "resto.forms": "forms/test_block.py",
    "resto.storage": "storage/test_storage.py",
    "resto.record": "record/test_leases.py",
    "resto.master": "master/test_copy.py",
    "resto.repair": "repair/test_drain.py",
    "resto.repair.drained": "repair/test_drain.py",
    "resto.repair.queues": "repair/test_drain.py",
    "resto.storage.stretches": "storage/test_blocks.py",
    "resto.page": "page/test_live_page.py",
    "resto.page.now": "page/test_hosts.py",
    "resto.words": "words/test_hosts.py",
    "resto.workers": "workers/test_jobs.py",
    "resto.management": "management/commands/test_resto_drain.py",
    "resto.management.choices": "management/commands/test_resto_drain.py",
    "resto.management.commands": "management/commands/test_resto_drain.py",
    "resto.migrations": "test_models.py",
    "resto.staticfiles": "staticfiles/test_storage.py",
    "resto.staticfiles.apps": "staticfiles/management/commands/test_collectstatic.py",
    "resto.staticfiles.management": "staticfiles/management/commands/test_collectstatic.py",
    "resto.staticfiles.management.commands": "staticfiles/management/commands/test_collectstatic.py",
    "resto.metrics": "metrics/test_apps.py",
    "resto.testing": "testing/test_init.py",
    "resto.testing.__main__": "testing/test_main.py",
    "resto.testing.play.__main__": "testing/play/test_main.py",
    "resto.testing.play.server": "testing/play/test_main.py",
    "resto.testing.play": "testing/play/test_views.py",
    "resto.testing.play.admin": "testing/play/test_views.py",
    "resto.testing.play.apps": "testing/play/test_views.py",
    "resto.testing.play.forms": "testing/play/test_views.py",
    "resto.testing.play.look": "testing/play/test_views.py",
    "resto.testing.play.manage": "testing/play/test_views.py",
    "resto.testing.play.models": "testing/play/test_views.py",
    "resto.testing.play.scene": "testing/play/test_views.py",
    "resto.testing.play.site": "testing/play/test_views.py",
    "resto.testing.play.storage": "testing/play/test_views.py",
    "resto.testing.play.urls": "testing/play/test_views.py",
    "resto.testing.executor_contract": "testing/executor_contract/test_executor_contract.py",
    "resto.testing.executor_contract.base": "testing/executor_contract/test_executor_contract.py",
    "resto.testing.executor_contract.tools": "testing/executor_contract/test_executor_contract.py",
    "resto.testing.transport_contract": "testing/transport_contract/test_transport_contract.py",
    "resto.testing.transport_contract.base": "testing/transport_contract/test_transport_contract.py",
    "resto.testing.transport_contract.tools": "testing/transport_contract/test_transport_contract.py",
}

# What needs no docstring, as it is so for any file, model or page of the admin.
AS_FOR_ANY = {"read", "readinto", "close", "objects", "media"}


def exported():
    """Yield what the modules export that can have a docstring, and is not another package's."""
    for name in LIBRARIES:
        module = importlib.import_module(name)
        for export in getattr(module, "__all__", ()):
            value = getattr(module, export)
            if (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__.startswith("resto"):
                yield f"{name}.{export}", value


EXPORTED = dict(exported())


def own_members(cls):
    """Yield the public methods and properties that the package defines, by name."""
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
            yield name, getattr(cls, name)


def test_modules_have_docstrings():
    assert [name for name in MODULES if not inspect.getdoc(importlib.import_module(name))] == []


def test_modules_export_what_is_there_and_once():
    exports = [(name, export) for name in LIBRARIES for export in importlib.import_module(name).__all__]
    assert [pair for pair in exports if not hasattr(importlib.import_module(pair[0]), pair[1])] == []
    assert len(set(exports)) == len(exports)


def is_documented(value):
    if dataclasses.is_dataclass(value) and value.__doc__.startswith(f"{value.__name__}("):
        return False  # what a dataclass says when nobody did
    return bool(value.__doc__)


def test_exports_are_documented():
    assert [path for path, value in EXPORTED.items() if not is_documented(value)] == []


def test_members_of_exports_are_documented():
    """By the class itself, or by the contract that it implements."""
    members = [
        (f"{path}.{name}", member)
        for path, value in EXPORTED.items()
        if inspect.isclass(value)
        for name, member in own_members(value)
        if name not in AS_FOR_ANY
    ]
    assert len(members) > 100
    assert [path for path, member in members if not inspect.getdoc(member)] == []


def test_version():
    assert resto.__version__.count(".") == 2


def expected_tests(name):
    if name in TESTED_ELSEWHERE:
        return TESTS / TESTED_ELSEWHERE[name]
    *packages, module = name.split(".")[1:]
    return TESTS.joinpath(*packages, f"test_{module}.py")


def test_modules_have_tests():
    assert [name for name in MODULES if not expected_tests(name).is_file()] == []


def test_exceptions_to_the_names_of_tests_are_of_use():
    assert set(TESTED_ELSEWHERE) <= set(MODULES)
