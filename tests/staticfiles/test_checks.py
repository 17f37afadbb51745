"""What `manage.py check` says of static files."""

from django.core import checks

from resto.staticfiles.checks import check_application


def test_static_files_without_a_record(settings):
    settings.INSTALLED_APPS = ["resto.staticfiles", "resto"]
    assert checks.run_checks(tags=["files"]) == []
    settings.INSTALLED_APPS = ["resto.staticfiles"]
    [message] = check_application(None)
    assert message in checks.run_checks(tags=["files"])
    assert (message.id, message.level) == ("resto.W013", checks.WARNING)
    assert "sends everything again each time" in message.msg
    assert "manage.py migrate resto" in message.hint


def test_database_that_is_not_there_is_said_once(settings):
    """By the check of the record, which is that of the other application."""
    settings.INSTALLED_APPS = ["resto.staticfiles", "resto"]
    settings.RESTO_DATABASE = "nope"
    check_application(None)
    found = checks.run_checks(tags=["files"])
    assert [message.id for message in found] == ["resto.E013"]
