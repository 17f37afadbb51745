"""Settings of the newsroom: what differs from test to test comes from the file that NEWSROOM_CONFIG names."""

import json
import os
from pathlib import Path


CONFIG = json.loads(Path(os.environ["NEWSROOM_CONFIG"]).read_text(encoding="utf-8"))
FOLDER = Path(CONFIG["folder"])

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "sites.newsroom.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
SESSION_COOKIE_NAME = CONFIG["cookie"]  # browsers tell sites by name, not by port

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "resto",
    "sites.newsroom",
    *CONFIG["apps"],
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "sites.newsroom.views.tell_the_worker",
]
if "django_prometheus" in CONFIG["apps"]:
    MIDDLEWARE.insert(0, "django_prometheus.middleware.PrometheusBeforeMiddleware")
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=OFF"},
    },
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}

STATIC_URL = "/static/"
MEDIA_URL = CONFIG["media_url"]
MEDIA_ROOT = FOLDER / "media"
STORAGES = {
    "default": {"BACKEND": f"resto.storage.{CONFIG['storage']}", "OPTIONS": CONFIG["options"]},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
RESTO_MEDIA_HOSTS = CONFIG["hosts"]
RESTO_TRANSPORT = "webdav"
RESTO_TIMEOUT = 20  # a busy machine needs a few; sites with a host that hangs have another one
RESTO_TRANSPORT_OPTIONS = {"auth": "media"}
RESTO_SECRETS = {"media": ("newsroom", CONFIG["password"]), "metrics": CONFIG["password"]}

SILENCED_SYSTEM_CHECKS = ["resto.W005"]  # reports have a storage outside of STORAGES
