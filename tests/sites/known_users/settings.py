"""Settings of a site with one of the packages: what differs comes from the file that KNOWN_USERS_CONFIG names."""

import json
import os
from pathlib import Path


CONFIG = json.loads(Path(os.environ["KNOWN_USERS_CONFIG"]).read_text(encoding="utf-8"))
FOLDER = Path(CONFIG["folder"])

SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "resto",
    "sites.known_users",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=OFF"},
    },
}
STATIC_URL = "static/"
MEDIA_ROOT = "" if CONFIG["storage"] == "DistributedStorage" else FOLDER / "media"
MEDIA_URL = CONFIG["hosts"][0]
STORAGES = {
    "default": {"BACKEND": f"resto.storage.{CONFIG['storage']}", "OPTIONS": CONFIG["options"]},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
RESTO_MEDIA_HOSTS = CONFIG["hosts"]
RESTO_TRANSPORT = CONFIG["transport"]
RESTO_TIMEOUT = 20
RQ_QUEUES = {
    "default": {"HOST": "localhost"}
}  # imagekit wants it where django-rq is installed, and connects to nothing

exec(CONFIG["settings"])  # what the documentation says


class _NoMigrations:
    """Makes the tables of all apps as their models are now, in a fraction of the time."""

    def __contains__(self, app):
        return True

    def __getitem__(self, app):
        return None


MIGRATION_MODULES = _NoMigrations()
