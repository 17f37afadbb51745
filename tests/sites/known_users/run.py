"""Run a site with one of the packages: with the durable record, and then without."""

from unittest import mock

import django


if __name__ == "__main__":
    django.setup()

    from django.core.files.storage import storages
    from django.core.management import call_command

    from sites.known_users.looking import assert_nothing_is_pending
    from sites.known_users.models import use

    call_command("migrate", run_syncdb=True, verbosity=0)
    assert storages["default"].record_alias() == "default"
    use()
    assert_nothing_is_pending()
    with mock.patch("resto.record.database.is_active", return_value=False):
        use()
