from django.apps import apps
from django.core.checks import Tags, registry

from resto.apps import RestoConfig
from resto.checks import check_plugins, check_record, check_secrets, check_storages


def test_app_is_found_by_the_name_of_the_package():
    assert isinstance(apps.get_app_config("resto"), RestoConfig)


def test_checks_are_registered():
    """They run with ``manage.py check``, and with its option ``--tag files``."""
    for check in (check_storages, check_plugins, check_record, check_secrets):
        assert check in registry.registry.get_checks()
        assert Tags.files in check.tags
