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
