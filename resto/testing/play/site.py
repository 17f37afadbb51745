"""The settings of the site, which are the same for all of its processes."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings  # noqa: TID251 - this is a site, with settings of its own


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


HOSTS = "hosts.json"  # in the directory of the site

# Of Django's, which have no history here: they make their tables at once.
_APPS = ("admin", "auth", "contenttypes", "sessions")

_SQLITE = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL", "transaction_mode": "IMMEDIATE"}


def write_hosts(directory: Path, hosts: Sequence[str]) -> None:
    """Let the processes of a site know its hosts.

    Args:
        directory: Of the site.
        hosts: Their addresses.
    """
    (directory / HOSTS).write_text(json.dumps(hosts))


def configure(directory: Path) -> None:
    """Make this process one of a site, before anything of Django is used.

    Args:
        directory: Of the site.
    """
    settings.configure(**_settings(directory, json.loads((directory / HOSTS).read_text())))


def _settings(directory: Path, hosts: list[str]) -> dict[str, Any]:
    return {
        "SECRET_KEY": secrets.token_hex(),
        "ALLOWED_HOSTS": ["127.0.0.1"],
        # Cookies are those of all sites on this machine: theirs are to stay what they are.
        "SESSION_COOKIE_NAME": "resto-play-session",
        "CSRF_USE_SESSIONS": True,
        "INSTALLED_APPS": [
            *(f"django.contrib.{name}" for name in (*_APPS, "messages", "staticfiles")),
            "resto",
            "resto.testing.play",
        ],
        "MIGRATION_MODULES": dict.fromkeys(_APPS),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        "ROOT_URLCONF": "resto.testing.play.urls",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "DATABASES": {
            alias: {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(directory / f"{name}.sqlite3"),
                "OPTIONS": _SQLITE,
            }
            for alias, name in [("default", "site"), ("record", "record")]
        },
        "USE_TZ": True,
        "STATIC_URL": "static/",
        "MEDIA_URL": "media/",
        "MEDIA_ROOT": str(directory / "master"),
        "STORAGES": {
            "default": {
                "BACKEND": "resto.testing.play.storage.SwitchedStorage",
                "OPTIONS": {"hosts": hosts, "transport": "webdav"},
            },
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        },
        "RESTO_DATABASE": "record",
        # Shorter than elsewhere: nobody wants to wait, and a request to this machine arrives at once or not at all.
        "RESTO_TIMEOUT": 1,
        "RESTO_GRACE": 2,
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"handlers": ["console"], "level": "WARNING"},
        },
    }
