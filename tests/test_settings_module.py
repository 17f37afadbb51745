"""`resto.settings`; tests/settings.py has the name that mirrors it."""

import os
import subprocess
import sys

import pytest

import resto.settings
from resto import __version__
from resto.exceptions import ConfigurationError
from resto.settings import (
    DEFAULTS,
    get_credential,
    get_setting,
    media_root,
    media_url,
    misspelt_settings,
    remembered,
    storage_settings,
    use_tz,
)


@pytest.mark.usefixtures("default_timeout")
@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_default(name, default):
    assert get_setting(name) == default


@pytest.mark.parametrize("name", DEFAULTS)
def test_changed_setting_counts_at_once(name, settings):
    setattr(settings, f"RESTO_{name}", "first")
    assert get_setting(name) == "first"
    setattr(settings, f"RESTO_{name}", "second")
    assert get_setting(name) == "second"


def test_setting_that_is_false_is_not_the_default(settings):
    settings.RESTO_FATAL_EXCEPTIONS = False
    assert get_setting("FATAL_EXCEPTIONS") is False


def test_unknown_setting():
    with pytest.raises(KeyError, match="TIMEUOT"):
        get_setting("TIMEUOT")


def test_media_url(settings):
    settings.MEDIA_URL = "https://media.example.com/"
    assert media_url() == "https://media.example.com/"


def test_media_root(settings):
    settings.MEDIA_ROOT = "/srv/media"
    assert media_root() == "/srv/media"


def test_use_tz(settings):
    settings.USE_TZ = False
    assert use_tz() is False


def test_storage_settings(settings):
    assert storage_settings() == settings.STORAGES


def test_defaults_without_settings_of_django():
    """A storage that is built from its arguments alone needs no settings module."""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    code = "from resto.settings import get_setting; print(get_setting('TIMEOUT'))"
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert done.stdout == "2\n"


def test_credential_of_a_plugin(settings):
    settings.RESTO_SECRETS = {"media": "secret"}
    assert get_credential("media", option="key") == "secret"
    with pytest.raises(ConfigurationError, match="no credential of the name that is given as 'key'") as caught:
        get_credential("secret", option="key")
    assert caught.value.code == "E008"
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        get_credential("other", option="url", code="E007")
    assert caught.value.code == "E007"


def test_old_name_of_the_secrets(settings):
    """What has no other place is still found; goes with 0.3."""
    settings.RESTO_CREDENTIALS = {"media": "old", "backup": "old"}
    assert get_credential("media", option="auth") == "old"
    settings.RESTO_SECRETS = {"media": "new", "token": "new"}
    assert [get_credential(name, option="auth") for name in ("media", "backup", "token")] == ["new", "old", "new"]
    assert get_setting("SECRETS") == {"media": "new", "backup": "old", "token": "new"}
    with pytest.raises(ConfigurationError, match="It has: backup, media, token"):
        get_credential("other", option="auth")


@pytest.mark.parametrize("value", ["hunter2", ("user", "hunter2"), ["hunter2"], None, 5, {"hunter2"}], ids=str)
@pytest.mark.parametrize("name", ["RESTO_SECRETS", "RESTO_CREDENTIALS"])
def test_secrets_without_names(settings, name, value):
    setattr(settings, name, value)
    with pytest.raises(ConfigurationError, match=f"^{name} is no mapping") as caught:
        get_credential("media", option="auth")
    assert caught.value.code == "E018"
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_names_of_secrets_may_be_anything(settings):
    settings.RESTO_SECRETS = {1: "one", "media": "two"}
    with pytest.raises(ConfigurationError, match="It has: 1, media") as caught:
        get_credential("hunter2", option="auth")
    assert caught.value.__context__ is None


def test_old_name_goes_with_the_version_that_the_check_names():
    assert (__version__ < "0.3") == hasattr(resto.settings, "OLD_SECRETS")


def test_what_is_remembered_is_found_out_once_until_a_setting_changes(settings):
    calls = []

    @remembered
    def found_out():
        calls.append(len(calls))
        return calls[-1]

    assert [found_out(), found_out()] == [0, 0]
    settings.RESTO_TIMEOUT = 3
    assert [found_out(), found_out()] == [1, 1]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RETSO_TIMEOUT", "RESTO_TIMEOUT"),
        ("RSTO_EXECUTOR_OPTIONS", "RESTO_EXECUTOR_OPTIONS"),
        ("MEDIA_HOSTS", "RESTO_MEDIA_HOSTS"),
        ("REST_TIMEOUT", None),
        ("OTHER_TIMEOUT", None),
        ("TIMEOUT", None),
        ("RETSO_NOTHING", None),
        ("RESTO_TIMEUOT", None),  # of which it is said that nobody reads it
    ],
)
def test_setting_with_another_prefix(settings, name, meant):
    setattr(settings, name, 3)
    assert misspelt_settings() == ({name: meant} if meant else {})


def test_setting_that_is_not_in_capitals(monkeypatch):
    """Django does not take it from the module of the settings."""
    monkeypatch.setattr(sys.modules["settings"], "Resto_TIMEOUT", 3, raising=False)
    assert misspelt_settings() == {"Resto_TIMEOUT": "RESTO_TIMEOUT"}
